"""The loaders of `loaders.py`, each in its package's plainest documented use, on data made here."""

from __future__ import annotations

import runpy
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from common import ROOT
from torch import Tensor, nn
from torch.optim import SGD
from torch.utils.data import DataLoader, Dataset, TensorDataset

SAMPLES, SIZE, CLASSES, BATCH = 48, 6, 4, 8
X = torch.randn(SAMPLES, SIZE, generator=torch.Generator().manual_seed(0))
Y = torch.arange(SAMPLES) % CLASSES
WORKERS = {
    "0": {},
    "2": {"num_workers": 2},
    "2 persistent": {"num_workers": 2, "persistent_workers": True},
}
FORKED = {name: WORKERS[name] for name in ("0", "2")}

torch.set_num_threads(1)  # set before the trainings are forked


class Setting(NamedTuple):
    name: str
    make: Callable[..., Task]
    """Takes the options of the workers."""
    workers: dict[str, dict[str, Any]] = WORKERS


class Task(NamedTuple):
    model: Any
    optimizer: Any
    loader: Any
    step: Callable[[Any], Any]
    door: dict[str, Any]
    """What the test needs beside model, optimizer and loader."""
    content: Callable[[Any], Any] = lambda batch: batch
    """What of a batch is compared."""
    begin_epoch: Callable[[], Any] = lambda: None
    end: Callable[[], Any] = lambda: None

    def things(self) -> list[Any]:
        return [list(self.model.parameters()), list(self.optimizer.state.values())]


def settings_of(package: str) -> Iterator[Setting]:
    return globals()[f"_{package}"]()


def plain(loader: Any, pair: Any = None, *, size: int = SIZE, **more: Any) -> Task:
    """Train a small model; `pair` gives inputs and targets of a batch that is no such pair."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(size, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    criterion = nn.CrossEntropyLoss()

    def step(batch: Any) -> Any:
        inputs, targets = pair(batch) if pair else batch[:2]
        optimizer.zero_grad()
        loss = criterion(model(inputs), targets)
        loss.backward()
        optimizer.step()
        return loss.detach()

    door = {"step": step} if pair else {"criterion": criterion}
    more.setdefault("content", pair or (lambda batch: batch))
    return Task(model, optimizer, loader, step, door, **more)


def augmented(x: Tensor) -> Tensor:
    return x + 0.1 * torch.randn(x.shape)


class Samples(Dataset[Any]):
    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return augmented(X[i]), i % CLASSES


def of(batch: Any) -> Any:
    """Return inputs and targets of a batch that is a mapping."""
    return batch["x"], batch["y"]


def folder() -> Path:
    place = tempfile.TemporaryDirectory()
    _folders.append(place)
    return Path(place.name)


_folders: list[Any] = []  # they are gone when the script ends


# -- torch and torchdata --------------------------------------------------------------------------


def _torch() -> Iterator[Setting]:
    yield Setting("DataLoader", lambda **o: plain(DataLoader(Samples(), BATCH, shuffle=True, **o)))


def _torchdata() -> Iterator[Setting]:
    from torch.utils.data import RandomSampler, default_collate
    from torchdata import nodes
    from torchdata.stateful_dataloader import StatefulDataLoader

    yield Setting(
        "StatefulDataLoader",
        lambda **o: plain(StatefulDataLoader(Samples(), BATCH, shuffle=True, **o)),
    )

    def saved(**options: Any) -> Task:
        task = plain(StatefulDataLoader(Samples(), BATCH, shuffle=True, **options))
        task.loader.state_dict()
        return task

    yield Setting("StatefulDataLoader, asked for its state", saved)

    def pipeline(num_workers: int = 0, prefetch: int = 0) -> Task:
        samples = TensorDataset(X, Y)  # which thread gets which sample is a matter of chance
        node: Any = nodes.SamplerWrapper(RandomSampler(samples))
        node = nodes.ParallelMapper(node, samples.__getitem__, num_workers)
        node = nodes.Mapper(nodes.Batcher(node, BATCH), default_collate)
        return plain(nodes.Loader(nodes.Prefetcher(node, prefetch) if prefetch else node))

    threads = {"0": {}, "2 threads": {"num_workers": 2}}
    yield Setting("nodes.Loader", pipeline, threads)
    yield Setting("nodes.Loader of a Prefetcher", lambda **o: pipeline(prefetch=2, **o), threads)


# -- streams --------------------------------------------------------------------------------------


def _webdataset() -> Iterator[Setting]:
    import webdataset as wds

    place = folder()
    with wds.ShardWriter(f"{place}/part-%02d.tar", maxcount=12, verbose=0) as sink:
        for i in range(SAMPLES):
            sink.write({"__key__": f"{i:04d}", "x.pth": X[i], "y.cls": i % CLASSES})
    urls = f"{place}/part-{{00..03}}.tar"

    def samples(shardshuffle: Any = 4, **options: Any) -> Any:
        data = wds.WebDataset(urls, shardshuffle=shardshuffle, seed=3, **options)
        return (
            data.shuffle(16, seed=5).decode().to_tuple("x.pth", "y.cls").map_tuple(augmented, int)
        )

    def loader(data: Any, **options: Any) -> Any:
        return wds.WebLoader(data.batched(BATCH), batch_size=None, **options)

    def across_workers(**options: Any) -> Task:
        batches = loader(samples(), **options)
        return plain(batches.unbatched().shuffle(16, seed=5).batched(BATCH))

    yield Setting("WebLoader", lambda **o: plain(loader(samples(), **o)))
    yield Setting("WebLoader, detshuffle", lambda **o: plain(loader(samples(detshuffle=True), **o)))
    yield Setting("WebLoader, shuffled across workers", across_workers)
    yield Setting(
        "WebLoader, resampled",
        lambda **o: plain(loader(samples(False, resampled=True), **o).with_epoch(6)),
    )


def _litdata() -> Iterator[Setting]:
    import litdata

    place = folder()
    writer = litdata.streaming.writer.BinaryWriter(str(place), chunk_size=6)
    for i in range(SAMPLES):
        writer.add_item(i, {"x": X[i], "y": i % CLASSES})
    writer.done()
    writer.merge()

    def dataset(**options: Any) -> Any:
        return litdata.StreamingDataset(str(place), shuffle=True, **options)

    def loader(data: Any, **options: Any) -> Task:
        return plain(litdata.StreamingDataLoader(data, batch_size=BATCH, **options), of)

    yield Setting("StreamingDataLoader", lambda **o: loader(dataset(), **o))
    yield Setting(
        "StreamingDataLoader of a CombinedStreamingDataset",
        lambda **o: loader(litdata.CombinedStreamingDataset([dataset(), dataset()], seed=1), **o),
    )


def _datasets() -> Iterator[Setting]:
    import datasets

    columns = {"x": X.tolist(), "y": Y.tolist()}
    data = datasets.Dataset.from_dict(columns)

    def changed(batch: Any) -> Any:
        return {"x": [augmented(torch.tensor(x)) for x in batch["x"]], "y": batch["y"]}

    def by_map(**options: Any) -> Task:
        mapped = data.with_transform(changed)
        return plain(DataLoader(mapped, BATCH, shuffle=True, **options), of)

    def stream(**options: Any) -> Task:
        shuffled = data.to_iterable_dataset(num_shards=4).shuffle(seed=1, buffer_size=16)
        epochs = iter(range(100))
        return plain(
            DataLoader(shuffled.with_format("torch"), BATCH, **options),
            of,
            begin_epoch=lambda: shuffled.set_epoch(next(epochs)),
        )

    yield Setting("DataLoader of a Dataset", by_map)
    yield Setting("DataLoader of an IterableDataset", stream)


# -- graphs and images ----------------------------------------------------------------------------


def _torch_geometric() -> Iterator[Setting]:
    from torch_geometric import loader
    from torch_geometric.data import Data
    from torch_geometric.nn import GCNConv, global_mean_pool
    from torch_geometric.transforms import RandomJitter

    ring = torch.stack([torch.arange(5), (torch.arange(5) + 1) % 5])
    draw = torch.Generator().manual_seed(0)
    graphs = [
        Data(x=torch.randn(5, SIZE, generator=draw), pos=torch.zeros(5, 3), edge_index=ring, y=y)
        for y in Y
    ]

    class Graphs(Dataset[Any]):
        jitter = RandomJitter(0.1)

        def __len__(self) -> int:
            return SAMPLES

        def __getitem__(self, i: int) -> Any:
            return self.jitter(graphs[i].clone())

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = GCNConv(SIZE + 3, CLASSES)

        def forward(self, batch: Any) -> Any:
            out = self.conv(torch.cat([batch.x, batch.pos], 1), batch.edge_index)
            return out if batch.batch is None else global_mean_pool(out, batch.batch)

    def task(batches: Any) -> Task:
        model = Net()
        optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)

        def step(batch: Any) -> Any:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(batch), batch.y)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return Task(
            model, optimizer, batches, step, {"step": step}, lambda b: [b.x, b.pos, b.edge_index]
        )

    def imbalanced() -> Any:
        return loader.ImbalancedSampler(Y)

    def dynamic() -> Any:
        return loader.DynamicBatchSampler(Graphs(), max_num=40, mode="node", shuffle=True)

    yield Setting(
        "DataLoader", lambda **o: task(loader.DataLoader(Graphs(), BATCH, shuffle=True, **o))
    )
    yield Setting(
        "DataLoader, ImbalancedSampler",
        lambda **o: task(loader.DataLoader(Graphs(), BATCH, sampler=imbalanced(), **o)),
    )
    yield Setting(
        "DataLoader, DynamicBatchSampler",
        lambda **o: task(loader.DataLoader(Graphs(), batch_sampler=dynamic(), **o)),
    )
    whole = Data(
        x=X,
        pos=torch.zeros(SAMPLES, 3),
        y=Y,
        edge_index=torch.randint(SAMPLES, (2, 200), generator=draw),
    )
    yield Setting(
        "RandomNodeLoader",
        lambda **o: task(loader.RandomNodeLoader(whole, num_parts=6, shuffle=True, **o)),
    )


def _monai() -> Iterator[Setting]:
    from monai.data import (
        CacheDataset,
        DataLoader,
        Dataset,
        SmartCacheDataset,
        ThreadDataLoader,
        set_track_meta,
    )
    from monai.transforms import Compose, RandFlipd, RandGaussianNoised, ToTensord

    set_track_meta(False)
    images = np.random.default_rng(0).random((SAMPLES, 1, 4, 4), dtype=np.float32)
    data = [{"x": images[i], "y": i % CLASSES} for i in range(SAMPLES)]

    def transforms() -> Any:
        parts = [
            ToTensord("x"),
            RandFlipd("x", prob=0.5, spatial_axis=0),
            RandGaussianNoised("x", prob=0.8),
        ]
        return Compose(parts).set_random_state(7)

    def task(loader: Any, **more: Any) -> Task:
        return plain(loader, of, size=16, **more)

    def cached() -> Any:
        return CacheDataset(data, transforms(), progress=False, num_workers=1)

    yield Setting(
        "DataLoader of a Dataset",
        lambda **o: task(
            DataLoader(Dataset(data, transforms()), batch_size=BATCH, shuffle=True, **o)
        ),
    )
    yield Setting(
        "DataLoader of a CacheDataset",
        lambda **o: task(DataLoader(cached(), batch_size=BATCH, shuffle=True, **o)),
    )

    def smart(**options: Any) -> Task:
        dataset = SmartCacheDataset(
            data, transforms(), replace_rate=0.25, cache_num=32, progress=False
        )
        epochs = iter(range(100))

        def begin_epoch() -> None:
            if next(epochs):
                dataset.update_cache()
            else:
                dataset.start()

        loader = DataLoader(dataset, batch_size=BATCH, shuffle=True, **options)
        return task(loader, begin_epoch=begin_epoch, end=dataset.shutdown)

    yield Setting("DataLoader of a SmartCacheDataset", smart, FORKED)  # as its documentation says
    yield Setting(
        "ThreadDataLoader", lambda **o: task(ThreadDataLoader(cached(), batch_size=BATCH, **o))
    )
    yield Setting(
        "ThreadDataLoader, shuffled",
        lambda **o: task(ThreadDataLoader(cached(), batch_size=BATCH, shuffle=True, **o)),
    )
    yield Setting(
        "ThreadDataLoader, threads for workers",
        lambda **o: task(
            ThreadDataLoader(cached(), batch_size=BATCH, use_thread_workers=True, **o)
        ),
        {"2": WORKERS["2"]},
    )


def _albumentations() -> Iterator[Setting]:
    import albumentations

    images = np.random.default_rng(0).integers(0, 255, (SAMPLES, 8, 8, 3), dtype=np.uint8)

    class Images(Samples):
        def __init__(self, *, nested: bool, seed: int | None) -> None:
            parts: list[Any] = [
                albumentations.HorizontalFlip(),
                albumentations.RandomBrightnessContrast(),
                albumentations.GaussNoise(),
            ]
            if nested:
                parts = [
                    albumentations.OneOf(parts),
                    albumentations.Compose([albumentations.SomeOf(parts, n=2)], p=0.8),
                ]
            self.transform = albumentations.Compose(parts, seed=seed)

        def __getitem__(self, i: int) -> tuple[Tensor, int]:
            image = self.transform(image=images[i])["image"]
            return torch.from_numpy(image.copy()).float() / 255, i % CLASSES

    def make(nested: bool = False, seed: int | None = 7, **options: Any) -> Task:
        data = Images(nested=nested, seed=seed)
        return plain(DataLoader(data, BATCH, shuffle=True, **options), size=8 * 8 * 3)

    yield Setting("DataLoader, Compose", make)
    yield Setting("DataLoader, nested", lambda **o: make(nested=True, **o))
    yield Setting("DataLoader, without a seed", lambda **o: make(seed=None, **o))


def _timm() -> Iterator[Setting]:
    runpy.run_path(str(ROOT / "tests" / "torchvision_on_cpu.py"))
    from PIL import Image
    from timm.data import create_loader

    draw = np.random.default_rng(0)
    pictures = [
        Image.fromarray(draw.integers(0, 255, (32, 32, 3), dtype=np.uint8)) for _ in range(SAMPLES)
    ]

    class Pictures(Samples):
        transform: Any = None

        def __getitem__(self, i: int) -> Any:
            return self.transform(pictures[i]), i % CLASSES

    def make(*, num_workers: int = 0, persistent_workers: bool = False, **options: Any) -> Task:
        loader = create_loader(
            Pictures(),
            input_size=(3, 16, 16),
            batch_size=BATCH,
            is_training=True,
            auto_augment="rand-m9-mstd0.5",
            re_prob=0.3,
            num_workers=num_workers,
            persistent_workers=persistent_workers,
            device=torch.device("cpu"),
            **options,
        )
        return plain(loader, size=3 * 16 * 16)

    yield Setting("create_loader", make)
    yield Setting("create_loader, no prefetcher", lambda **o: make(use_prefetcher=False, **o))
    yield Setting(
        "create_loader, multi-epochs", lambda **o: make(use_multi_epochs_loader=True, **o)
    )


# -- frameworks -----------------------------------------------------------------------------------


def _accelerate() -> Iterator[Setting]:
    from accelerate import Accelerator
    from accelerate.utils import DataLoaderConfiguration

    def make(accumulation: int = 1, how: Any = None, **options: Any) -> Task:
        accelerator = Accelerator(
            cpu=True,
            gradient_accumulation_steps=accumulation,
            dataloader_config=DataLoaderConfiguration(**(how or {})),
        )
        model, optimizer, *_ = plain(None)
        model, optimizer, loader = accelerator.prepare(
            model, optimizer, DataLoader(Samples(), BATCH, shuffle=True, **options)
        )

        def step(batch: Any) -> Any:
            with accelerator.accumulate(model):
                loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
                accelerator.backward(loss)
                optimizer.step()
                optimizer.zero_grad()
            return loss.detach()

        return Task(model, optimizer, loader, step, {"step": step})

    yield Setting("a prepared DataLoader", make)
    yield Setting("… and accumulate(4)", lambda **o: make(4, **o))
    for name in ("use_seedable_sampler", "dispatch_batches", "use_stateful_dataloader"):
        yield Setting(f"… and {name}", lambda name=name, **o: make(how={name: True}, **o))


def _lightning() -> Iterator[Setting]:
    runpy.run_path(str(ROOT / "tests" / "torchvision_on_cpu.py"))
    from lightning import Fabric
    from lightning.pytorch.utilities import CombinedLoader

    def by_fabric(**options: Any) -> Task:
        fabric = Fabric(accelerator="cpu", devices=1)
        model, optimizer, *_ = plain(None)
        model, optimizer = fabric.setup(model, optimizer)
        loader = fabric.setup_dataloaders(DataLoader(Samples(), BATCH, shuffle=True, **options))

        def step(batch: Any) -> Any:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
            fabric.backward(loss)
            optimizer.step()
            return loss.detach()

        return Task(model, optimizer, loader, step, {"step": step})

    def combined(mode: str, **options: Any) -> Task:
        loaders = [DataLoader(Samples(), BATCH, shuffle=True, **options) for _ in range(2)]
        loader = CombinedLoader(loaders, mode)

        def pair(item: Any) -> Any:
            (a, b), *_ = item  # the batch, its number, the number of its loader
            return (
                (torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]]))
                if mode != "sequential"
                else (a, b)
            )

        return plain(loader, pair)

    yield Setting("Fabric.setup_dataloaders", by_fabric)
    yield Setting("CombinedLoader", lambda **o: combined("max_size_cycle", **o))
    yield Setting("CombinedLoader, sequential", lambda **o: combined("sequential", **o))


def _fastai() -> Iterator[Setting]:
    runpy.run_path(str(ROOT / "tests" / "torchvision_on_cpu.py"))
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader

    def make(**options: Any) -> Task:
        loader = DataLoader(Samples(), bs=BATCH, shuffle=True, **options)
        return plain(DataLoaders(loader, loader).train)

    yield Setting("DataLoaders.train", make)


def _pytorch_metric_learning() -> Iterator[Setting]:
    from pytorch_metric_learning import losses, miners, samplers

    def make(sampler: Any = None, *, batches: Any = None, **options: Any) -> Task:
        sampled = (
            {"batch_sampler": batches} if batches else {"sampler": sampler, "batch_size": BATCH}
        )
        task = plain(DataLoader(Samples(), **sampled, **options))
        criterion, miner = losses.TripletMarginLoss(), miners.MultiSimilarityMiner()

        def step(batch: Any) -> Any:
            task.optimizer.zero_grad()
            embeddings = task.model(batch[0])
            loss = criterion(embeddings, batch[1], miner(embeddings, batch[1]))
            loss.backward()
            task.optimizer.step()
            return loss.detach()

        return task._replace(step=step, door={"step": step})

    def by_class() -> Any:
        return samplers.MPerClassSampler(Y, m=2, batch_size=BATCH, length_before_new_iter=SAMPLES)

    def hierarchical() -> Any:
        labels = torch.stack([Y, Y // 2], 1)
        return samplers.HierarchicalSampler(
            labels, batch_size=BATCH, samples_per_class=2, super_classes_per_batch=2
        )

    yield Setting("MPerClassSampler", lambda **o: make(by_class(), **o))
    yield Setting("HierarchicalSampler", lambda **o: make(batches=hierarchical(), **o))
