#!/usr/bin/env python3
"""Makes the files of huggingface/: two small tokenizers and what PyPI `tokenizers` makes of hard texts with them.

    pip install tokenizers==0.23.3; apt-get install bible-kjv bible-kjv-text
    python3 tests/unit/trainer/tokenizer/make_huggingface_expectations.py

bytes.json is of the kind of Llama 3, characters.json of that of Llama 2. A variant is one of them with a JSON merge patch
(RFC 7386): GPT-2's and Qwen's way over the same merges.
"""
import json
import os
import subprocess

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "huggingface")
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
TEXTS = [
    "", " ", "\n", "a", "And God said, Let there be light: and there was light.",
    "  two  spaces   three\n\n\nlines \n \t\ttabs\r\n\r\nend   ",
    "It's don't I'LL we'VE they're 'ſ ''s o'clock", "1 12 123 1234 12345678 3.14 1,000,000 ３４５ ²³ Ⅷ ① ٣٤ १२",
    "snake_case CamelCase HTTPServer x1y2 if (a<=b) { return -1; }", "https://example.org/a?b=c&d=%20#e\tuser@host",
    "中文字符。日本語テキスト、한국어 텍스트", "café cafe\u0301 A\u030a Å \u212b ﬁ e\u0323\u0301 e\u0301\u0323 \u1100\u1161\u11a8 각",
    "🙂 👩‍👩‍👧 👍🏽 🇩🇪✈️ ok", "Привет мир, Καλημέρα κόσμε, שלום עולם, مرحبا بالعالم, नमस्ते दुनिया, สวัสดี",
    "nbsp\u00a0em\u2003ideographic\u3000nel\u0085ls\u2028mvs\u180ezwsp\u200bvt\u000bff\u000c.", "\u0000\u0001\u007f\ufeff\ue000\U0010ffff",
    "one<|end_of_text|>two <|end_of_text|> three<|end_of_text|><|begin_of_text|>", "<|end_of_tex|> <|end_of_text| > <|end",
    "a <mask> b\n<mask>  c", "x <keep> y<keep>z <keep>able", "<s>a</s> b <s> </s>", "\n</s>\nnext", "▁ under ▁▁ score", "<0x41><0x0A>",
    "Ġ Ċ Â ģ", " leading and trailing ", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "firmament firmament\nfirmament",
]
TOKEN = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)


def corpus():
    bible = subprocess.run(["bible", "-f", "Gen1:1-Gen11:32"], capture_output=True, text=True, check=True).stdout
    return [line.split(" ", 1)[1] for line in bible.splitlines()] + TEXTS


def bytes_tokenizer():
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    result = json.loads(tokenizer.to_str())
    # A token that only ignore_merges reaches.
    vocab = result["model"]["vocab"]
    assert "ĠCamelCase" not in vocab
    vocab["ĠCamelCase"] = len(vocab)
    for content in ("<|begin_of_text|>", "<|end_of_text|>"):
        result["added_tokens"].append(dict(TOKEN, id=len(vocab) + len(result["added_tokens"]), content=content))
    return result


def characters_tokenizer():
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    control = ["<unk>", "<s>", "</s>"]
    tokenizer.train_from_iterator([word for text in corpus() for word in text.split(" ")], trainers.BpeTrainer(
        vocab_size=600, limit_alphabet=80, special_tokens=control + ["<0x%02X>" % b for b in range(256)], show_progress=False))
    result = json.loads(tokenizer.to_str())
    result["added_tokens"] = [token for token in result["added_tokens"] if token["content"] in control]
    return result


def byte_level(prefix_space, use_regex):
    return {"type": "ByteLevel", "add_prefix_space": prefix_space, "trim_offsets": True, "use_regex": use_regex}


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def sequence(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


def variants(size):
    """Name, base and patch of each; `size`: ids of the byte vocabulary, which those of added tokens follow."""
    def added(*tokens):
        return [dict(TOKEN, id=size + i, **token) for i, token in enumerate(tokens)]

    end, mask, keep = {"content": "<|end_of_text|>"}, {"content": "<mask>"}, {"content": "<keep>"}
    by_merges = {"ignore_merges": False}
    yield "llama3", "bytes.json", {}
    yield "gpt2", "bytes.json", {
        "model": by_merges, "pre_tokenizer": dict(byte_level(False, True), pretokenizers=None), "added_tokens": added(end)}
    yield "prefix space", "bytes.json", {
        "model": by_merges, "pre_tokenizer": dict(byte_level(True, True), pretokenizers=None),
        "added_tokens": [dict(token, normalized=True) for token in added(end)]}
    yield "qwen", "bytes.json", {
        "model": by_merges, "normalizer": {"type": "NFC"},
        "pre_tokenizer": sequence(split({"Regex": QWEN}), byte_level(False, False)),
        "added_tokens": added(end, mask) + [dict(TOKEN, id=size + 2, content="<keep>", special=False, normalized=True)]}
    yield "compatibility forms", "bytes.json", {
        "model": by_merges, "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "NFKC"}]}}
    yield "digits", "bytes.json", {
        "model": by_merges, "pre_tokenizer": sequence({"type": "Digits", "individual_digits": True}, byte_level(False, True))}
    yield "gpt4o", "bytes.json", {
        "pre_tokenizer": sequence(split({"Regex": GPT4O}, "Removed", True), byte_level(False, False)),
        "added_tokens": [dict(token, lstrip=token["content"] == "<mask>", rstrip=token["content"] == "<keep>")
                         for token in added(end, mask, keep)]}
    yield "several splits", "bytes.json", {
        "pre_tokenizer": sequence(split({"Regex": LLAMA3}), split({"String": "e."}),
                                  {"type": "Digits", "individual_digits": False}, byte_level(False, False))}
    yield "llama2", "characters.json", {}


def merge_patch(target, patch):
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def main():
    os.makedirs(FOLDER, exist_ok=True)
    bases = {"bytes.json": bytes_tokenizer(), "characters.json": characters_tokenizer()}
    for name, content in bases.items():
        with open(os.path.join(FOLDER, name), "w") as file:
            json.dump(content, file, ensure_ascii=False, indent=None, separators=(",", ":"))
            file.write("\n")
    expectations = []
    for name, base, patch in variants(len(bases["bytes.json"]["model"]["vocab"])):
        tokenizer = Tokenizer.from_str(json.dumps(merge_patch(bases[base], patch)))
        cases = []
        for text in TEXTS:
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            cases.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids)})
        expectations.append({"name": name, "base": base, "patch": patch, "cases": cases})
    with open(os.path.join(FOLDER, "expectations.json"), "w") as file:
        json.dump(expectations, file, ensure_ascii=True, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
