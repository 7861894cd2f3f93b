"""A loader made anew for another batch size."""

from __future__ import annotations

from typing import Any

from torch.utils.data import BatchSampler, DataLoader, IterableDataset

from .describe import describe


def why_not_anew(batches: Any) -> str:
    """Say why batches cannot be made anew for another batch size; an empty string if they can."""
    iterable = isinstance(getattr(batches, "dataset", None), IterableDataset)
    sampled = iterable or type(getattr(batches, "batch_sampler", None)) is BatchSampler
    if type(batches) is DataLoader and batches.batch_size is not None and sampled:
        return ""
    return (
        "The batch size cannot be varied: only a plain DataLoader with a batch size can be made "
        f"anew for another; got {describe(batches)}."
    )


def loader_anew(loader: DataLoader[Any], size: int) -> DataLoader[Any]:
    """Return a loader with another batch size, and all else as one that can be made anew has it."""
    iterable = isinstance(loader.dataset, IterableDataset)
    return DataLoader(
        loader.dataset,
        batch_size=size,
        sampler=None if iterable else loader.sampler,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        drop_last=loader.drop_last,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        generator=loader.generator,
        prefetch_factor=loader.prefetch_factor,
        persistent_workers=loader.persistent_workers,
    )
