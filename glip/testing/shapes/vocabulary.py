"""The WordPiece vocabulary of the generated captions and class names."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import BertWordPieceTokenizer

from glip.testing.shapes.captions import all_words

#: Maximum size of the vocabulary; large enough for each word of the captions to be one token.
_VOCABULARY_SIZE = 500


def write_vocabulary(folder: Path) -> None:
    """Train a WordPiece vocabulary on the words of captions and class names, and write it.

    It starts with BERT's special tokens and has every printable ASCII character, as a token and as
    a continuation, so that it can spell any English word.

    Args:
        folder: folder of the tokenizer to write.
    """
    printable = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(
        list(all_words()),
        vocab_size=_VOCABULARY_SIZE,
        min_frequency=1,
        initial_alphabet=printable,
        show_progress=False,
    )
    known = tokenizer.get_vocab()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = ["##" + each for each in printable if each.isalnum()]
    # The subwords that training finds differ from run to run, so only complete words are kept.
    complete = [word for word in dict.fromkeys(all_words()) if word in known]
    words = dict.fromkeys([*special, *printable, *pieces, *complete])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    settings = dict(tokenizer_class="BertTokenizer", do_lower_case=True, model_max_length=512)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
