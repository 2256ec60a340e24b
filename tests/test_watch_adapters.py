"""A Watch as a callback: real fits by Lightning and by Hugging Face's Trainer, on the CPU."""

import warnings

import pytest
import torch
import watched
from torch.nn import functional as F

import energylens

STEPS = [0, 1, 2, 3]


def by_hand(epochs: int) -> list[float]:
    """Mean Delta E(x) of watched.net before and after so many epochs of the loop that the trainers run."""
    model = watched.net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    watch = energylens.watch(model, watched.loader(), eps=0.1)
    watch()
    torch.manual_seed(1)
    for _ in range(epochs):
        model.train()
        for x, y in watched.loader():
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        watch()
    return watch.table["delta_energy"].tolist()


@pytest.fixture
def lightning():
    """The library, whose import and Trainer warn of what is no matter of ours."""
    pytest.importorskip("lightning", reason="needs Lightning: pip install lightning")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        import lightning.pytorch as library

        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*have no `val_dataloader`.*")
        yield library


def module(lightning):
    """watched.net as a LightningModule."""

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = watched.net()

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, number):
            return F.cross_entropy(self(batch[0]), batch[1])

        def validation_step(self, batch, number):
            self(batch[0])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    return Module()


def trainer(lightning, folder, watch, epochs=3, **options):
    return lightning.Trainer(
        max_epochs=epochs,
        callbacks=[watch.lightning()],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **options,
    )


def test_a_lightning_fit_is_measured_before_and_behind_each_epoch(lightning, tmp_path):
    model = module(lightning)
    watch = energylens.watch(model, watched.loader(), every=1, eps=0.1)
    torch.manual_seed(1)
    trainer(lightning, tmp_path, watch, limit_val_batches=0).fit(model, watched.loader())
    assert watch.table["step"].tolist() == STEPS
    assert watch.table["delta_energy"].tolist() == pytest.approx(by_hand(3), abs=1e-5)
    assert model.training


def test_lightnings_sanity_checks_and_validation_do_not_disturb(lightning, tmp_path):
    model = module(lightning)
    watch = energylens.watch(model, watched.loader(), every=2, eps=0.1)
    trainer(lightning, tmp_path, watch).fit(model, watched.loader(), watched.loader())
    assert watch.table["step"].tolist() == [0, 2]


@pytest.fixture
def transformers():
    """The library; its Trainer needs accelerate."""
    pytest.importorskip("transformers", reason="needs transformers: pip install transformers")
    pytest.importorskip("accelerate", reason="transformers' Trainer needs accelerate: pip install accelerate")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        import transformers as library

        yield library


def test_a_hugging_face_trainer_is_measured_before_and_behind_each_epoch(transformers, tmp_path):
    """A model that takes `pixel_values` and returns an object with `.logits`, as theirs do."""
    from transformers.modeling_outputs import ImageClassifierOutput

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = watched.net()

        def forward(self, pixel_values, labels=None):
            logits = self.net(pixel_values)
            loss = None if labels is None else F.cross_entropy(logits, labels)
            return ImageClassifierOutput(loss=loss, logits=logits)

    model, (x, y) = Model(), watched.images()
    watch = energylens.watch(
        model, watched.loader(), every=1, eps=0.1, logits=lambda model, x: model(pixel_values=x).logits
    )
    arguments = transformers.TrainingArguments(
        str(tmp_path),
        num_train_epochs=3,
        per_device_train_batch_size=16,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    rows = [{"pixel_values": image, "labels": label} for image, label in zip(x, y, strict=True)]
    transformers.Trainer(model, arguments, train_dataset=rows, callbacks=[watch.huggingface()]).train()
    assert watch.table["step"].tolist() == STEPS
    assert watch.table["delta_energy"].nunique() == 4
    assert model.training


@pytest.mark.parametrize(("began", "ends", "steps"), [(0.0, 2, [0, 1, 2]), (1.0, 2, [1, 2, 3]), (1.5, 2, [2, 3])])
def test_hugging_face_epochs_are_counted_where_training_goes_on(transformers, began, ends, steps):
    """From within an epoch, the first row is that epoch's end; `state.epoch` itself is not asked again."""
    watch = energylens.watch(watched.net(), watched.loader(), eps=0.1)
    callback = watch.huggingface()
    state = transformers.TrainerState(epoch=began)
    callback.on_train_begin(None, state, None)
    for _ in range(ends):
        callback.on_epoch_end(None, state, None)
    assert watch.table["step"].tolist() == steps


def test_a_model_whose_forward_takes_a_dict_is_called_by_a_function():
    class Takes(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = watched.net()

        def forward(self, batch):
            return {"scores": self.net(batch["image"])}

    model, plain = Takes(), watched.net()
    watches = [
        energylens.watch(model, watched.loader(), eps=0.1, logits=lambda model, x: model({"image": x})["scores"]),
        energylens.watch(plain, watched.loader(), eps=0.1),
    ]
    for watch in watches:
        watch()
    assert watches[0].table.equals(watches[1].table)
    assert model.training
    assert model.net.training
