"""Catches a repository of timm's own making that is another network here, where timm is installed; elsewhere it is skipped."""

import numpy as np
import pytest
from hub_server import HubServer

import keras_resnet

pytestmark = pytest.mark.slow
NAMES = ("resnet10t", "ecaresnet26t", "resnet50_gn")


@pytest.mark.parametrize("name", NAMES)
def test_what_timm_saves_for_the_hub_is_another_network(name, tmp_path, monkeypatch):
    """Its own `save_for_hf`, the logits of its network, and its `resolve_data_config`, with the client and a server."""
    timm, torch = pytest.importorskip("timm"), pytest.importorskip("torch")
    constants = pytest.importorskip("huggingface_hub.constants")
    theirs = timm.create_model(name, num_classes=5).eval()
    generator = torch.Generator().manual_seed(0)
    for key, buffer in theirs.named_buffers():
        if key.endswith("running_mean"):
            buffer.normal_(0, 0.1, generator=generator)
        elif key.endswith("running_var"):
            buffer.uniform_(0.5, 1.5, generator=generator)
    timm.models.save_for_hf(theirs, tmp_path / "saved", safe_serialization=True)
    images = np.random.default_rng(0).normal(size=(2, 75, 96, 3)).astype("float32")
    with torch.no_grad():
        expected = theirs(torch.tensor(images).permute(0, 3, 1, 2)).numpy()
    server = HubServer()
    server.add(f"timm/{name}", {path.name: path.read_bytes() for path in (tmp_path / "saved").iterdir()})
    monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
    template = f"{server.endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    model = keras_resnet.from_pretrained(f"hf://timm/{name}", input_shape=(None, None, 3), classifier_activation=None)
    server.close()
    np.testing.assert_allclose(np.asarray(model(images)), expected, atol=1e-5 * np.abs(expected).max())
    data = timm.data.resolve_data_config(pretrained_cfg=theirs.pretrained_cfg, use_test_size=True)
    ours = keras_resnet.preprocessing_for(model)
    assert (ours.channels, ours.height, ours.width) == tuple(data["input_size"])
    assert (ours.mean, ours.std) == (tuple(data["mean"]), tuple(data["std"]))
    assert (ours.crop_fraction, ours.interpolation) == (data["crop_pct"], data["interpolation"])
