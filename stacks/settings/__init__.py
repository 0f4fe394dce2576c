"""The one settings object: everything a team may choose, typed and bounded."""

from stacks.settings.file import SettingsError
from stacks.settings.stage import Region, Settings, load_settings

__all__ = ["Region", "Settings", "SettingsError", "load_settings"]
