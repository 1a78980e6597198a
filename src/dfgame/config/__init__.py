"""Every setting, in the order of the pipeline. One dataclass a verb; its nested groups are its sections.

These classes are the only source of the command line's flags and help, of the keys of `--config FILE.toml`
and of the settings saved with every result. The string below a field is its help.
"""

from dfgame.config.data import DoctorConfig, ExtractConfig, FootageConfig, ForgeConfig, LiveConfig
from dfgame.config.idle import changed_settings, idle_settings
from dfgame.config.players import (
    AdditiveConfig,
    AdversaryConfig,
    AugmentConfig,
    BlurConfig,
    DetectorConfig,
    FlowConfig,
    KernelConfig,
    OptimizerConfig,
    ResidualConfig,
)
from dfgame.config.robustness import RobustnessConfig, Transformation
from dfgame.config.train import HOUSEKEEPING, TrainConfig, train_config_from_dict
from dfgame.config.use import (
    BenchConfig,
    CalibrateConfig,
    DemoConfig,
    EvaluateConfig,
    ExportConfig,
    InspectConfig,
    OnnxConfig,
    ServeConfig,
)
from dfgame.config.values import (
    Compression,
    Device,
    Game,
    LiveFamilyName,
    Method,
    Perturbation,
    SettingError,
    flat,
    pairs_of,
    to_dict,
    to_flags,
)

__all__ = [
    "HOUSEKEEPING",
    "AdditiveConfig",
    "AdversaryConfig",
    "AugmentConfig",
    "BenchConfig",
    "BlurConfig",
    "CalibrateConfig",
    "Compression",
    "DemoConfig",
    "DetectorConfig",
    "Device",
    "DoctorConfig",
    "EvaluateConfig",
    "ExportConfig",
    "ExtractConfig",
    "FlowConfig",
    "FootageConfig",
    "ForgeConfig",
    "Game",
    "InspectConfig",
    "KernelConfig",
    "LiveConfig",
    "LiveFamilyName",
    "Method",
    "OnnxConfig",
    "OptimizerConfig",
    "Perturbation",
    "ResidualConfig",
    "RobustnessConfig",
    "ServeConfig",
    "SettingError",
    "TrainConfig",
    "Transformation",
    "changed_settings",
    "flat",
    "idle_settings",
    "pairs_of",
    "to_dict",
    "to_flags",
    "train_config_from_dict",
]
