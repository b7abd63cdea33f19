"""Lightning's trainer under the settings of a run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytorch_lightning as lightning
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger

from structdiff.errors import InputError

if TYPE_CHECKING:
    from structdiff.training.run import TrainConfig


def lightning_trainer(config: TrainConfig, callbacks: list[Callback]) -> lightning.Trainer:
    """The trainer of a run; raises InputError for a device or a precision that it cannot have, and for the folder."""
    try:
        config.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be made: {error.strerror}", path=config.out, key="out") from None
    for name in ("pytorch_lightning", "lightning_fabric"):  # devices that are not there, advertisements
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        return lightning.Trainer(
            accelerator=config.accelerator,
            devices=config.devices,
            # Not every step uses every parameter: recycling is drawn, the confidence head is trained elsewhere.
            strategy="ddp_find_unused_parameters_true" if config.devices > 1 else "auto",
            precision=config.precision,  # type: ignore[arg-type]
            max_steps=config.max_steps,
            gradient_clip_val=config.optimiser.clip_norm,
            logger=CSVLogger(config.out, name="logs"),
            log_every_n_steps=config.log_steps,
            val_check_interval=config.validate_steps,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=callbacks,
            # One process is one process, whatever tasks the Slurm job has in which it runs.
            plugins=[LightningEnvironment()] if config.devices == 1 else None,
        )
    except (MisconfigurationException, ValueError) as error:
        asked = (config.accelerator, config.devices, config.precision)
        raise InputError(str(error), key="accelerator, devices, precision", found=asked) from None
