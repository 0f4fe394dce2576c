"""A template of a small public service: static files and a function behind one distribution, with a user pool to sign in to."""

from __future__ import annotations

from typing import Any

from embedded_aws.testing.platform_template import Template, attribute, document, ref, resource, role

CACHING_OPTIMIZED, CACHING_DISABLED = "658327ea-f89d-4fab-a63d-7e88639e58f6", "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
ALL_VIEWER_EXCEPT_HOST = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
ECHO = """
import base64, json, urllib.request

def handler(event, context):
    path = event["rawPath"]
    if path == "/api/fails":
        raise ValueError("a secret of the function")
    if path == "/api/opens":
        asked = json.loads(base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"])
        data = asked["data"].encode() if "data" in asked else None
        try:
            with urllib.request.urlopen(asked["url"], data, timeout=60) as answer:
                found = {"status": answer.status, "body": answer.read().decode()}
        except Exception as error:
            found = {"error": repr(error), "body": error.read().decode() if hasattr(error, "read") else ""}
        return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(found)}
    if path == "/api/leaves":
        return {"statusCode": 303, "headers": {"location": event["queryStringParameters"]["to"]}}
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "cookies": ["__Host-one=1; Path=/; Secure; HttpOnly; SameSite=Lax", "two=2; Path=/"],
        "body": json.dumps(event),
    }
"""


def _api() -> Template:
    return {
        "Role": role("lambda.amazonaws.com"),
        "Function": resource(
            "Lambda::Function", Runtime="python3.12", Handler="index.handler", Role=attribute("Role"), Code={"ZipFile": ECHO}, Timeout=120
        ),
        "Api": resource("ApiGatewayV2::Api", Name={"Fn::Sub": "${AWS::StackName}-api"}, ProtocolType="HTTP"),
        "Integration": resource(
            "ApiGatewayV2::Integration",
            ApiId=ref("Api"),
            IntegrationType="AWS_PROXY",
            IntegrationUri=attribute("Function"),
            PayloadFormatVersion="2.0",
        ),
        "Route": resource("ApiGatewayV2::Route", ApiId=ref("Api"), RouteKey="$default", Target={"Fn::Sub": "integrations/${Integration}"}),
        "Stage": resource(
            "ApiGatewayV2::Stage",
            ApiId=ref("Api"),
            StageName="$default",
            AutoDeploy=True,
            DefaultRouteSettings={"ThrottlingBurstLimit": 20, "ThrottlingRateLimit": 10},
        ),
        "Permission": resource(
            "Lambda::Permission",
            Action="lambda:InvokeFunction",
            FunctionName=ref("Function"),
            Principal="apigateway.amazonaws.com",
            SourceArn={"Fn::Sub": "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/*/*"},
        ),
    }


def _behaviour(origin: str, policy: str, headers: Template, **more: Any) -> Template:
    wanted = {"TargetOriginId": origin, "CachePolicyId": policy, "ViewerProtocolPolicy": "redirect-to-https"}
    return {**wanted, "ResponseHeadersPolicyId": headers, **more}


def _distribution() -> Template:
    own = {"Fn::Sub": "arn:aws:cloudfront::${AWS::AccountId}:distribution/${Distribution}"}
    host = {"Fn::Sub": "${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}"}
    origins = [
        {
            "Id": "files",
            "DomainName": attribute("Bucket", "RegionalDomainName"),
            "S3OriginConfig": {"OriginAccessIdentity": ""},
            "OriginAccessControlId": attribute("Control", "Id"),
        },
        {
            "Id": "api",
            "DomainName": host,
            "CustomOriginConfig": {"OriginProtocolPolicy": "https-only", "OriginSSLProtocols": ["TLSv1.2"]},
            "OriginCustomHeaders": [{"HeaderName": "x-origin-verify", "HeaderValue": "from-the-distribution"}],
        },
    ]
    methods = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"]
    return {
        "Bucket": resource("S3::Bucket"),
        "Control": resource(
            "CloudFront::OriginAccessControl",
            OriginAccessControlConfig={
                "Name": {"Fn::Sub": "${AWS::StackName}-files"},
                "OriginAccessControlOriginType": "s3",
                "SigningBehavior": "always",
                "SigningProtocol": "sigv4",
            },
        ),
        "Headers": resource(
            "CloudFront::ResponseHeadersPolicy",
            ResponseHeadersPolicyConfig={
                "Name": {"Fn::Sub": "${AWS::StackName}-headers"},
                "SecurityHeadersConfig": {
                    "ContentSecurityPolicy": {
                        "ContentSecurityPolicy": {
                            "Fn::Sub": "default-src 'self'; form-action 'self' https://${Domain}.auth.${AWS::Region}.amazoncognito.com"
                        },
                        "Override": True,
                    },
                    "StrictTransportSecurity": {"AccessControlMaxAgeSec": 31536000, "Override": True},
                    "FrameOptions": {"FrameOption": "DENY", "Override": True},
                    "ContentTypeOptions": {"Override": True},
                },
                "CustomHeadersConfig": {"Items": [{"Header": "permissions-policy", "Value": "camera=()", "Override": True}]},
            },
        ),
        "Distribution": resource(
            "CloudFront::Distribution",
            DistributionConfig={
                "Enabled": True,
                "DefaultRootObject": "index.html",
                "CustomErrorResponses": [{"ErrorCode": code, "ErrorCachingMinTTL": 0} for code in (403, 404, 503)],
                "Origins": origins,
                "DefaultCacheBehavior": _behaviour("files", CACHING_OPTIMIZED, ref("Headers")),
                "CacheBehaviors": [
                    _behaviour(
                        "api",
                        CACHING_DISABLED,
                        ref("Headers"),
                        PathPattern="api/*",
                        AllowedMethods=methods,
                        OriginRequestPolicyId=ALL_VIEWER_EXCEPT_HOST,
                    )
                ],
            },
        ),
        "BucketPolicy": resource(
            "S3::BucketPolicy",
            Bucket=ref("Bucket"),
            PolicyDocument=document(
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "cloudfront.amazonaws.com"},
                    "Action": "s3:GetObject",
                    "Resource": {"Fn::Sub": "${Bucket.Arn}/*"},
                    "Condition": {"StringEquals": {"AWS:SourceArn": own}},
                },
                {
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": {"Fn::Sub": "${Bucket.Arn}/*"},
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
            ),
        ),
    }


def _users(prefix: str) -> Template:
    callback = {"Fn::Sub": "https://${Distribution.DomainName}/api/signed-in"}
    return {
        "Pool": resource(
            "Cognito::UserPool",
            AdminCreateUserConfig={"AllowAdminCreateUserOnly": True},
            MfaConfiguration="ON",
            EnabledMfas=["SOFTWARE_TOKEN_MFA"],
            Policies={"PasswordPolicy": {"MinimumLength": 12}},
        ),
        "Domain": resource("Cognito::UserPoolDomain", Domain=prefix, UserPoolId=ref("Pool")),
        "Client": resource(
            "Cognito::UserPoolClient",
            UserPoolId=ref("Pool"),
            GenerateSecret=True,
            AllowedOAuthFlows=["code"],
            AllowedOAuthFlowsUserPoolClient=True,
            AllowedOAuthScopes=["openid"],
            SupportedIdentityProviders=["COGNITO"],
            PreventUserExistenceErrors="ENABLED",
            CallbackURLs=[callback],
            LogoutURLs=[{"Fn::Sub": "https://${Distribution.DomainName}/"}],
        ),
    }


def template(prefix: str) -> Template:
    """``prefix``: of the user pool's domain."""
    outputs = {
        "Domain": attribute("Distribution", "DomainName"),
        "ApiEndpoint": attribute("Api", "ApiEndpoint"),
        "SignIn": {"Fn::Sub": "${Domain}.auth.${AWS::Region}.amazoncognito.com"},
        **{name: ref(name) for name in ("Api", "Bucket", "Distribution", "Pool", "Client", "Function")},
    }
    resources = {**_api(), **_distribution(), **_users(prefix)}
    return {"Resources": resources, "Outputs": {name: {"Value": value} for name, value in outputs.items()}}
