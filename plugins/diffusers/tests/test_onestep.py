"""One-step models compared with diffusers' own pipelines on the same noise; options and errors."""

from __future__ import annotations

import json
import shutil

import diffusers
import pytest
import torch
import transformers
from packaging.version import Version
from torch.nn.attention import SDPBackend, sdpa_kernel

from eigenwalk.errors import FileError, OptionError
from eigenwalk_diffusers.load import scheduler, tokenizer
from eigenwalk_diffusers.onestep import onestep
from eigenwalk_diffusers.step import only_step

SAME = [
    ("consistency", {"label": 3}, {"class_labels": [3, 3]}),
    ("turbo", {"prompt": "a cat"}, {"prompt": "a cat", "guidance_scale": 0.0}),
    ("turbo", {}, {"prompt": "", "guidance_scale": 0.0}),
    (
        "turbo",
        {"prompt": "a cat", "negative": "a dog", "guidance": 3},
        {"prompt": "a cat", "negative_prompt": "a dog", "guidance_scale": 3.0},
    ),
    (
        "turbo",
        {"prompt": "a cat", "resolution": (8, 16), "timestep": 700},
        {"prompt": "a cat", "height": 8, "width": 16, "timesteps": [700], "guidance_scale": 0.0},
    ),
    ("latent_consistency", {"prompt": "a cat", "guidance": 4}, {"prompt": "a cat", "guidance_scale": 4.0}),
    ("latent_consistency", {"prompt": "a cat"}, {"prompt": "a cat"}),
    ("turbo_xl", {"prompt": "a cat"}, {"prompt": "a cat", "guidance_scale": 0.0}),
    ("turbo_xl", {"prompt": "a cat", "guidance": 2}, {"prompt": "a cat", "guidance_scale": 2.0}),
]


@pytest.mark.parametrize(("name", "options", "own"), SAME)
def test_images_equal_those_of_diffusers_own_pipeline(pipeline, name, options, own):
    made = pipeline(name)
    generator = onestep(made.folder, **options)
    latents = generator.sample(2, seed=0)
    with torch.no_grad():
        images = generator(latents)
    several = {"batch_size": 2} if name == "consistency" else {"num_images_per_prompt": 2}
    steps = {} if "timesteps" in own else {"num_inference_steps": 1}
    noise = latents.unflatten(1, generator.shape).clone()
    expected = made.own(latents=noise, output_type="pt", **several, **steps, **own).images
    assert images.shape == (2, 3, *generator.resolution)
    assert expected.std() > 0.05
    # Theirs are clipped to [0, 1], ours never.
    torch.testing.assert_close(images.clamp(0, 1), expected, rtol=0, atol=1e-5)


def test_a_prompt_changes_the_images_and_a_seed_does_not_change_the_model(pipeline):
    folder = pipeline("turbo").folder
    cat, again, dog = (onestep(folder, prompt=text) for text in ("a cat", "a cat", "a dog"))
    z = cat.sample(1, 4)
    with torch.no_grad():
        assert torch.equal(cat(z), again(z))
        assert (cat(z) - dog(z)).abs().max() > 1e-4


CONTIGUOUS = pytest.mark.skipif(
    Version(torch.__version__) < Version("2.15"),
    reason="torch's group norm wants contiguous inputs under vmap there; the core pushes without it, as the kit checks",
)


@pytest.mark.parametrize("name", ["turbo", pytest.param("consistency", marks=CONTIGUOUS)])
@sdpa_kernel(SDPBackend.MATH)  # as the core does while it differentiates
def test_pushforward_pullback_and_differences_agree_in_float64(pipeline, name):
    folder = pipeline(name).folder
    generator = onestep(folder, label=1) if name == "consistency" else onestep(folder, prompt="a")
    generator.to("cpu", torch.float64)
    z = generator.sample(1, 2).double()
    v = torch.randn(2, *z.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pushed = torch.func.vmap(lambda t: torch.func.jvp(generator, (z,), (t,))[1])(v)
    images, pull, *_ = torch.func.vjp(generator, z)
    u = torch.randn(images.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for i in range(2):
        with torch.no_grad():
            central = (generator(z + 1e-5 * v[i]) - generator(z - 1e-5 * v[i])) / 2e-5
        torch.testing.assert_close(pushed[i], central, rtol=1e-6, atol=1e-7)
        torch.testing.assert_close((pushed[i] * u).sum(), (pull(u)[0] * v[i]).sum(), rtol=1e-10, atol=0)


def test_in_float16_a_decoder_that_overflows_stays_in_float32(pipeline):
    generator = onestep(pipeline("turbo_xl").folder, prompt="a")
    decoder = generator.to("cpu", torch.float16).denoiser.decoder
    assert decoder is not None
    kept = {one.dtype for one in decoder.parameters()}
    assert kept == {torch.float32}
    assert {one.dtype for one in generator.denoiser.unet.parameters()} == {torch.float16}
    assert generator(generator.sample(1, 0).half()).dtype == torch.float16


def test_facts_are_texts_and_parameters_are_frozen(pipeline, tmp_path):
    folder = shutil.copytree(pipeline("turbo").folder, tmp_path / "turbo")
    (folder / "README.md").write_text("---\nlicense: other\nlicense_name: sai-nc-community\n---\n# Turbo\n")
    generator = onestep(folder, prompt="a cat")
    assert generator.facts["licence"] == "sai-nc-community"
    assert generator.facts["prompt"] == "a cat"
    assert generator.facts["scheduler"] == "EulerDiscreteScheduler, timestep 999"
    assert all(isinstance(word, str) and word for word in generator.facts.values())
    assert not any(one.requires_grad for one in generator.denoiser.parameters())
    assert not any(one.training for one in generator.denoiser.modules())


WRONG = [
    ("turbo", {"label": 1}, "label must be left out"),
    ("turbo", {"prompt": "abcdefghijklmnop"}, "at most 14 tokens, this one has 16"),
    ("turbo", {"negative": "a dog"}, "negative must be left out"),
    ("turbo", {"resolution": (9,)}, "multiples of 2 pixels, got 9 x 9"),
    ("turbo", {"resolution": (8, 8, 8)}, "512 or"),
    ("turbo", {"timestep": 1000}, "from 1 to 999, got 1000"),
    ("latent_consistency", {"negative": "a dog", "guidance": 4}, "negative must be left out"),
    ("consistency", {}, "from 0 to 4, got None"),
    ("consistency", {"label": 5}, "from 0 to 4, got 5"),
    ("consistency", {"label": 1, "prompt": "a"}, "prompt must be left out"),
    ("consistency", {"label": 1, "guidance": 0}, "guidance must be left out"),
]


@pytest.mark.parametrize(("name", "options", "message"), WRONG)
def test_options_that_a_model_does_not_have_are_refused(pipeline, name, options, message):
    with pytest.raises(OptionError, match=message):
        onestep(pipeline(name).folder, **options)


@pytest.mark.parametrize(
    ("kind", "options", "timestep", "message"),
    [
        (
            "DPMSolverMultistepScheduler",
            {"timestep_spacing": "trailing", "algorithm_type": "sde-dpmsolver++", "final_sigmas_type": "sigma_min"},
            None,
            "adds noise in its only step",
        ),
        ("EulerDiscreteScheduler", {"timestep_spacing": "leading"}, None, "at timestep 0, where there is hardly"),
        ("KDPM2DiscreteScheduler", {}, 900, "chooses its own"),
    ],
)
def test_schedulers_that_take_no_step_from_noise_to_image_are_refused(tmp_path, kind, options, timestep, message):
    getattr(diffusers, kind)(**options).save_pretrained(tmp_path)
    with pytest.raises((FileError, OptionError), match=message):
        only_step(scheduler(tmp_path), timestep)


@pytest.mark.parametrize("kind", ["EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "DDIMScheduler"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_only_step_follows_the_schedulers_formula(kind, prediction):
    made = getattr(diffusers, kind)(timestep_spacing="trailing", prediction_type=prediction)
    step = only_step(made)
    alpha = float(made.alphas_cumprod[int(step.timestep)])
    final = float(made.final_alpha_cumprod) if kind == "DDIMScheduler" else 1.0
    # x = √ᾱ z_t - √(1 - ᾱ) v, or (z_t - √(1 - ᾱ) ε) / √ᾱ; DDIM's z is z_t, Euler's z_t √(1 - ᾱ) is of the largest σ.
    unit = 1.0 if kind == "DDIMScheduler" else made.init_noise_sigma * alpha**0.5
    output = -((1 - alpha) ** 0.5) * (1 if prediction == "v_prediction" else alpha**-0.5)
    latent = unit * (alpha**0.5 if prediction == "v_prediction" else alpha**-0.5)
    assert final == 1.0
    assert step.of_latent == pytest.approx(float(latent), rel=1e-3)
    assert step.of_output == pytest.approx(output, rel=1e-3)
    assert step.scale == pytest.approx(float(unit), rel=1e-3)


def edited(folder, target, file, **changes):
    """A copy of `folder` with other words in its JSON `file`."""
    shutil.copytree(folder, target)
    described = json.loads((target / file).read_text())
    (target / file).write_text(json.dumps(described | changes))
    return target


REFUSED = [
    ("model_index.json", {"_class_name": "FluxPipeline"}, "FluxPipeline; supported are ConsistencyModelPipeline"),
    ("model_index.json", {"_class_name": None}, "without the class's name"),
    ("model_index.json", {"text_encoder": ["transformers", "T5EncoderModel"]}, "class T5EncoderModel"),
    ("model_index.json", {"text_encoder": [None, None]}, "has no text_encoder"),
    ("scheduler/scheduler_config.json", {"_class_name": "os.system"}, "no scheduler of diffusers"),
    ("scheduler/scheduler_config.json", {"_class_name": "UNet2DModel"}, "no scheduler of diffusers"),
    ("unet/config.json", {"_class_name": "UNet3DConditionModel"}, "supported are UNet2DConditionModel"),
    ("unet/config.json", {"quantization_config": {"quant_method": "bitsandbytes"}}, "quantised"),
    ("unet/config.json", {"layers_per_block": 2}, "lack|does not fit"),
    ("unet/config.json", {"block_out_channels": [8] * 100_000}, "block_out_channels of more than 16 parts"),
    ("unet/config.json", {"layers_per_block": 100_000}, "layers_per_block that is larger than 100"),
    ("unet/config.json", {"block_out_channels": [1 << 20, 1 << 20]}, "does not fit its configuration"),
    ("unet/config.json", {"act_fn": {"a": 1}}, "act_fn that is no plain value"),
    ("unet/config.json", {"sample_size": 1 << 20}, "sample_size that is larger than 4,096"),
    ("vae/config.json", {"latents_mean": [[[[0.0]]]]}, "latents_mean that is no plain value"),
    ("text_encoder/config.json", {"quantization_config": {"quant_method": "awq"}}, "quantised"),
    ("text_encoder/config.json", {"num_hidden_layers": 1000}, "num_hidden_layers that is larger than 100"),
    ("text_encoder/config.json", {"vocab_size": 1 << 20}, "does not fit its configuration"),
    ("scheduler/scheduler_config.json", {"num_train_timesteps": 1 << 40}, "timesteps that is larger than"),
    ("scheduler/scheduler_config.json", {"trained_betas": [0.1] * 20_000}, "more than 10,000 parts"),
    (
        "scheduler/scheduler_config.json",
        {"_class_name": "UniPCMultistepScheduler", "solver_p": {"_class_name": "x"}},
        "solver_p, which is not on the list",
    ),
    ("tokenizer/tokenizer_config.json", {"pad_token": "none such"}, "names a token that is not in the vocabulary"),
    ("tokenizer/tokenizer_config.json", {"added_tokens_decoder": {"99": {"content": "new"}}}, "adds words"),
    ("unet/config.json", {"block_out_channels": [8, 24]}, "does not fit"),
    ("vae/config.json", {"_class_name": "AutoencoderOobleck"}, "supported are AutoencoderKL"),
]


@pytest.mark.parametrize(("file", "changes", "message"), REFUSED)
def test_unsupported_folders_are_refused(pipeline, tmp_path, file, changes, message):
    folder = edited(pipeline("turbo").folder, tmp_path / "other", file, **changes)
    with pytest.raises(FileError, match=message):
        onestep(folder, prompt="a")


def test_entries_that_do_not_describe_the_network_are_ignored(pipeline, tmp_path):
    """Such as which code computes attention, the names of classes, and where other files lie."""
    own = pipeline("turbo").folder
    says = {
        "attn_implementation": "evil/kernels",
        "_attn_implementation": "evil/kernels",
        "auto_map": {"AutoModel": "x.Y"},
    }
    folder = edited(own, tmp_path / "a", "text_encoder/config.json", **says)
    folder = edited(folder, tmp_path / "b", "unet/config.json", **says, torch_dtype="float64")
    folder = edited(folder, tmp_path / "c", "tokenizer/tokenizer_config.json", **says, vocab_file="/etc/hostname")
    generator, expected = onestep(folder, prompt="a cat"), onestep(own, prompt="a cat")
    z = expected.sample(1, 0)
    with torch.no_grad():
        assert torch.equal(generator(z), expected(z))


@pytest.mark.parametrize("kept", ["vocab.json", "tokenizer.json"])
def test_a_tokenizer_reads_text_as_transformers_does(pipeline, tmp_path, kept):
    folder = shutil.copytree(pipeline("turbo_xl").folder / "tokenizer", tmp_path / "tokenizer")
    for name in {"vocab.json", "tokenizer.json"} - {kept}:
        (folder / name).unlink()
    ours = tokenizer(folder)
    theirs = transformers.CLIPTokenizer.from_pretrained(pipeline("turbo_xl").folder / "tokenizer")
    options = {"padding": "max_length", "max_length": 16, "truncation": True}
    for text in ("", "a cat", "A  dog, two cats\n", "abcdefghijklmnopqrstuvwxyz"):
        assert ours(text, **options).input_ids == theirs(text, **options).input_ids
        assert ours(text, **options).attention_mask == theirs(text, **options).attention_mask
    assert ours.model_max_length == theirs.model_max_length


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("model_index.json", "has no model_index.json"),
        ("unet/diffusion_pytorch_model.safetensors", "has no weights"),
        ("unet/config.json", "has no config.json"),
        ("text_encoder/model.safetensors", "has no weights"),
        ("tokenizer/tokenizer_config.json", "has no tokenizer_config.json"),
        ("scheduler/scheduler_config.json", "has no scheduler_config.json"),
    ],
)
def test_a_file_that_is_missing_is_named(pipeline, tmp_path, file, message):
    folder = shutil.copytree(pipeline("turbo").folder, tmp_path / "other")
    (folder / file).unlink()
    with pytest.raises(FileError, match=message):
        onestep(folder, prompt="a")
