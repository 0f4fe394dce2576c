"""Deploying a cloud assembly: order, assets, templates byte for byte, outputs, and failures that say why."""

from __future__ import annotations

import json
import os
import uuid
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from embedded_aws.tools import launcher
from embedded_aws.tools.deployer import DeployError, InvalidAssembly, Progress, deploy, destroy, read_assembly, zip_folder

ClientFactory = Callable[..., Any]
BUCKET = "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"


class Assembly:
    """A cloud assembly as ``cdk synth`` writes it, with names that no other test uses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prefix = f"deployed-{uuid.uuid4().hex[:8]}"
        self.artifacts: dict[str, Any] = {}

    def stack(self, part: str, resources: Any, *depends_on: str, outputs: Any = None, zipped: Path | None = None, **more: Any) -> str:
        name = f"{self.prefix}-{part}"
        template = {"Resources": resources, **({"Outputs": outputs} if outputs else {}), **more}
        (self.folder / f"{name}.template.json").write_text(json.dumps(template, indent=3))
        files = {"template": self._file(f"{name}.template.json", f"{name}-{uuid.uuid4().hex}.json", "file")}
        if zipped:
            files["code"] = self._file(zipped.name, f"{self.prefix}-code.zip", "zip")
        (self.folder / f"{name}.assets.json").write_text(json.dumps({"files": files, "dockerImages": {}}))
        key = files["template"]["destinations"]["here"]["objectKey"]
        self.artifacts[f"{name}.assets"] = {"type": "cdk:asset-manifest", "properties": {"file": f"{name}.assets.json"}}
        self.artifacts[name] = {
            "type": "aws:cloudformation:stack",
            "environment": "aws://unknown-account/us-east-1",
            "properties": {
                "templateFile": f"{name}.template.json",
                "stackTemplateAssetObjectUrl": f"s3://{BUCKET}/{key}",
                "tags": {"a": "b"},
            },
            "dependencies": [f"{name}.assets", *(f"{self.prefix}-{other}" for other in depends_on)],
        }
        (self.folder / "manifest.json").write_text(json.dumps({"version": "1", "artifacts": self.artifacts}))
        return name

    @staticmethod
    def _file(path: str, key: str, packaging: str) -> dict[str, Any]:
        return {"source": {"path": path, "packaging": packaging}, "destinations": {"here": {"bucketName": BUCKET, "objectKey": key}}}


def parameter(name: str, value: Any) -> dict[str, Any]:
    return {"Type": "AWS::SSM::Parameter", "Properties": {"Name": name, "Type": "String", "Value": value}}


@pytest.fixture
def assembly(tmp_path: Path) -> Assembly:
    return Assembly(tmp_path)


def test_stacks_come_after_what_they_depend_on(assembly: Assembly) -> None:
    assembly.stack("late", {}, "middle")
    assembly.stack("middle", {}, "early")
    assembly.stack("early", {})
    assert [stack.name.rsplit("-", 1)[-1] for stack in read_assembly(assembly.folder)] == ["early", "middle", "late"]


def test_a_folder_that_is_no_assembly_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidAssembly, match="run `make synth` first"):
        read_assembly(tmp_path)


def test_an_unknown_stack_is_named_with_the_known_ones(assembly: Assembly) -> None:
    name = assembly.stack("one", {})
    with pytest.raises(InvalidAssembly, match=f"no stack nowhere; it has {name}"):
        deploy(assembly.folder, "http://127.0.0.1:9", ["nowhere"])


def test_zips_depend_on_content_only(tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    for folder, order in ((first, ("b.txt", "a.txt")), (second, ("a.txt", "b.txt"))):
        (folder / "sub").mkdir(parents=True)
        for name in order:
            (folder / "sub" / name).write_text(name)
            os.utime(folder / "sub" / name, (order.index(name) + 1e9, 1e9))
    assert zip_folder(first) == zip_folder(second)
    assert zipfile.ZipFile(BytesIO(zip_folder(first))).namelist() == ["sub/a.txt", "sub/b.txt"]
    (second / "sub" / "a.txt").write_text("changed")
    assert zip_folder(first) != zip_folder(second)


def test_templates_go_up_byte_for_byte_and_outputs_come_back(assembly: Assembly, emulator: launcher.Emulator, aws: ClientFactory) -> None:
    code = assembly.folder / "code"
    code.mkdir()
    (code / "x.py").write_text("x = 1\n")
    name = assembly.stack("one", {"P": parameter(f"/{assembly.prefix}/p", "v")}, outputs={"Name": {"Value": {"Ref": "P"}}}, zipped=code)
    seen: list[Progress] = []
    assert deploy(assembly.folder, emulator.url, on_progress=seen.append) == {name: {"Name": f"/{assembly.prefix}/p"}}
    assert (seen[-1].stack, seen[-1].message, seen[-1].done, seen[-1].total) == (name, "CREATE_COMPLETE", 1, 1)
    uploaded = read_assembly(assembly.folder)[0].template_url.split("amazonaws.com/", 1)[1]
    bucket, key = uploaded.split("/", 1)
    template = (assembly.folder / f"{name}.template.json").read_bytes()
    assert aws("s3").get_object(Bucket=bucket, Key=key)["Body"].read() == template
    running = aws("cloudformation").get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
    assert running == json.loads(template) or running == template.decode()
    assert aws("s3").get_object(Bucket=bucket, Key=f"{assembly.prefix}-code.zip")["Body"].read() == zip_folder(code)
    assert deploy(assembly.folder, emulator.url) == {name: {"Name": f"/{assembly.prefix}/p"}}, "nothing to change"
    stack = aws("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    assert {"Key": "a", "Value": "b"} in stack["Tags"]
    assert destroy(assembly.folder, emulator.url) == [name]
    assert destroy(assembly.folder, emulator.url) == []


def test_ssm_parameters_keep_their_name_and_are_read_anew(assembly: Assembly, emulator: launcher.Emulator, aws: ClientFactory) -> None:
    source = f"/{assembly.prefix}/source"
    aws("ssm").put_parameter(Name=source, Type="String", Value="one")
    wanted = {"Source": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": source}}
    copy = {"Copy": parameter(f"/{assembly.prefix}/copy", {"Ref": "Source"})}
    name = assembly.stack("one", copy, Parameters=wanted)
    deploy(assembly.folder, emulator.url)
    aws("ssm").put_parameter(Name=source, Type="String", Value="two", Overwrite=True)
    deploy(assembly.folder, emulator.url, [name])
    assert aws("ssm").get_parameter(Name=f"/{assembly.prefix}/copy")["Parameter"]["Value"] == "two"


def test_a_failure_names_stack_resource_and_reason_and_can_be_mended(assembly: Assembly, emulator: launcher.Emulator) -> None:
    broken = {
        "Fine": parameter(f"/{assembly.prefix}/fine", "v"),
        "Broken": {
            "Type": "AWS::SageMaker::ModelPackageGroup",
            "DependsOn": "Fine",
            "Properties": {"ModelPackageGroupName": "no spaces allowed"},
        },
    }
    name = assembly.stack("one", broken)
    assembly.stack("two", {"P": parameter(f"/{assembly.prefix}/two", "v")}, "one")
    with pytest.raises(DeployError) as caught:
        deploy(assembly.folder, emulator.url)
    assert (caught.value.stack, caught.value.resource) == (name, "Broken (AWS::SageMaker::ModelPackageGroup)")
    assert "regular expression" in caught.value.reason
    broken["Broken"]["Properties"]["ModelPackageGroupName"] = assembly.prefix
    assembly.stack("one", broken)
    assert set(deploy(assembly.folder, emulator.url)) == {name, f"{assembly.prefix}-two"}, "the rolled back stack is created anew"


def test_an_invalid_template_is_refused_with_cloudformations_words(assembly: Assembly, emulator: launcher.Emulator) -> None:
    assembly.stack("one", {"X": {"Type": "AWS::SageMaker::FlowDefinition", "Properties": {}}})
    with pytest.raises(DeployError, match=r"Unrecognized resource types: \[AWS::SageMaker::FlowDefinition\]"):
        deploy(assembly.folder, emulator.url)
