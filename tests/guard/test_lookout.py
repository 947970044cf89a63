"""What is known to be a secret is found in a text by its fingerprint, as a shell would write it."""

from __future__ import annotations

import hashlib
import hmac
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard import shapes
from guard.lookout import Lookout, is_telling, marks_of, words_of
from guard.secret import Secret

SECRET = "n0t-A-r3al.token_Value~9"
WORD = "opensesame"
"""A password that is a word like any other."""
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ"


def fingerprint(text: str) -> str:
    return hmac.new(b"key", text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def after(value: str, *argv: str) -> Lookout:
    """Return what looks for a secret by its fingerprint, after it was refused in `argv`."""
    marks = marks_of([Secret(value, "made-up")], argv)
    known = {fingerprint(mark): kind for mark, kind in marks.items()}
    if all(map(is_telling, marks)):
        return Lookout(fingerprints=known, fingerprint=fingerprint)
    return Lookout(phrases=known, fingerprint=fingerprint)


TYPED = {
    "alone": f"twg login {SECRET}",
    "as an option's value": f"twg login --token {SECRET} --force",
    "with an equals sign": f"twg login --token={SECRET}",
    "in double quotes": f'twg login --token "{SECRET}"',
    "in single quotes": f"twg login '--token={SECRET}'",
    "in quotes in the middle": f"twg login --token={SECRET[:5]}'{SECRET[5:]}'",
    "with a backslash": f"twg login --token {SECRET[:3]}\\{SECRET[3:]}",
    "in a header": f'curl -H "Authorization: Bearer {SECRET}" https://example.com',
    "in a URL": f"git clone https://me:{SECRET}@example.com/w/r",
    "in a query": f"curl 'https://example.com/?a=1&token={SECRET}&b=2'",
    "in JSON": "curl -d '" + f'{{"token": "{SECRET}"}}' + "' https://example.com",
    "in SQL": f"ALTER ROLE me PASSWORD '{SECRET}';",
    "set as a variable": f"export TWG_TOKEN={SECRET}; twg login",
    "behind a time": f": 1764000000:0;twg login --token {SECRET}",
    "in an unclosed quote": f"echo it's {SECRET}",
    "over two lines": f"twg login \\\n  --token {SECRET}",
}


@pytest.mark.parametrize("entry", TYPED.values(), ids=TYPED)
def test_a_secret_is_found_however_it_was_typed(entry: str) -> None:
    look = after(SECRET, "login", "--token", SECRET)

    assert look(entry) == {"made-up"}
    assert look(entry.replace(SECRET, "another-0ne.of-that_Kind")) in ({"made-up"}, set())
    assert look("ls -la") == set()


@pytest.mark.parametrize(
    "secret", ["a+b/c9=d0==", "AT-1:x@y?z#9(a)", "p$ss w0rd `x` \"q\" 'r'", "tab\tand\\back1"]
)
def test_a_secret_with_punctuation_is_found_as_a_shell_quotes_it(secret: str) -> None:
    argv = ["login", "--password", secret]
    look = after(secret, *argv)

    assert look(f"twg {shlex.join(argv)}") == {"made-up"}
    assert look(f"twg login --password={shlex.quote(secret)}") == {"made-up"}


def test_no_part_of_a_secret_is_taken_for_it() -> None:
    look = after(SECRET, "login", "--token", SECRET)

    assert look(f"echo {SECRET}x") == set()
    assert look(f"echo {SECRET[:-1]}") == set()


def test_a_secret_at_hand_is_found_in_the_middle_of_a_word_too() -> None:
    look = Lookout(texts={SECRET: "made-up"})

    assert look(f"xx{SECRET}yy") == {"made-up"}
    assert look(f"echo {SECRET[:5]}'{SECRET[5:9]}'\\{SECRET[9:]}") == {"made-up"}


def test_what_was_found_once_is_found_again() -> None:
    look = after(SECRET, "login", "--token", SECRET)

    assert [look(f"echo a/{SECRET}") for _ in range(3)] == [{"made-up"}] * 3


AROUND = {
    "option": (["login", "--token", WORD], f"twg login --token {WORD}"),
    "option, in one": ([f"--token={WORD}"], f"twg --token='{WORD}'"),
    "option, once in one and once not": (["--token", WORD], f"twg --token={WORD}"),
    "short option": ([f"-p{WORD}"], f"mysql -p {WORD}"),
    "field": (["-f", f"client_secret={WORD}"], f"twg api -f client_secret={WORD}"),
    "header": (["-H", f"Token: {WORD}"], f'curl -H "Token: {WORD}"'),
    "URL": ([f"https://me:{WORD}@example.com"], f"curl https://me:{WORD}@example.com"),
}


@pytest.mark.parametrize(("argv", "entry"), AROUND.values(), ids=AROUND)
def test_an_ordinary_word_is_found_by_what_stands_around_it_only(
    argv: list[str], entry: str
) -> None:
    """Otherwise `--token production` would take all that was done in production along."""
    look = after(WORD, *argv)
    at_hand = Lookout(texts=marks_of([Secret(WORD, "made-up")], argv))

    for one in (look, at_hand):
        assert one(entry) == {"made-up"}
        assert one(f"cd {WORD} && make {WORD}") == set()
        assert one("twg login --token") == set()


def test_an_option_of_one_letter_means_something_else_to_other_programs() -> None:
    """Otherwise all that listened on that port would go along."""
    marks = marks_of([Secret("8080", "made-up")], ["sandbox", "start", "-p", "8080"])
    known = {fingerprint(mark): kind for mark, kind in marks.items()}

    for look in (
        Lookout(texts=marks, programs=["twg"]),
        Lookout(phrases=known, fingerprint=fingerprint, programs=["twg"]),
    ):
        assert look("docker run -p 8080 x") == set()
        assert look("twg sandbox start -p8080") == {"made-up"}
        assert look("docker run -p 8080 x") == set()


@pytest.mark.parametrize("argv", [["-p", "feature-2024"], ["-pfeature-2024"]])
def test_one_letter_makes_no_secret_of_what_stands_elsewhere(argv: list[str]) -> None:
    """What looks like a secret is one, whatever the option is called."""
    value = "feature-2024"

    assert marks_of([Secret(value, "secret")], argv) == {f"-p {value}": "secret"}
    assert marks_of([Secret(value, "github-token")], argv) == {value: "github-token"}
    assert marks_of([Secret("hunter2-Xk", "secret")], ["-p", "hunter2-Xk"]) == {
        "hunter2-Xk": "secret"
    }
    assert marks_of([Secret(value, "secret")], ["--pat", value]) == {value: "secret"}
    assert marks_of([Secret(value, "secret")], ["-x=1", f"--pat={value}"]) == {value: "secret"}


def test_a_short_password_in_an_address_is_known_by_the_address() -> None:
    url = "https://me:hunter2@example.com/"
    marks = marks_of([Secret("hunter2", "made-up"), Secret(url, "made-up")], ["api", url])

    look = Lookout(texts=marks)

    assert look(f"curl '{url}'") == {"made-up"}
    assert look("echo hunter2") == set()


def test_a_word_that_is_no_secret_by_itself_is_looked_up_with_its_surroundings() -> None:
    """Though it was looked at before."""
    url = "https://me:opensesame@example.com/1"
    marks = marks_of([Secret("opensesame", "made-up")], ["api", url])
    known = {fingerprint(mark): kind for mark, kind in marks.items()}
    look = Lookout(phrases=known, fingerprints={"x": "y"}, fingerprint=fingerprint)

    assert [look(f"curl {url}") for _ in range(2)] == [{"made-up"}] * 2


@pytest.mark.parametrize("word", ["--token", "token", "--", ""])
def test_an_options_own_name_is_no_mark(word: str) -> None:
    marks = marks_of([Secret(word, "x")], ["login", "--token", "--force"])

    assert marks == {}


@pytest.mark.parametrize(
    "word",
    [
        "production",
        "/run/secrets/a1",
        "~/keys/key1",
        "./keys/key1",
        "https://a.b/c1",
        "PROJECT-1234",
    ],
)
def test_words_paths_and_addresses_tell_nothing_by_themselves(word: str) -> None:
    assert not is_telling(word)


REFUSABLE = {
    "twg login --token opensesame": {"refused-secret"},
    "cd x && ~/bin/twg login --password=opensesame; ls": {"refused-secret"},
    f"twg api jira /x -H 'Cookie: a={JWT}'": {"jwt"},
    f"twg api jira {JWT} | jq .key": {"jwt"},
    "twg login; echo --token opensesame": set(),
    "twg login && mysql --password opensesame": set(),
    "echo --token opensesame": set(),
    "twg login --token": set(),
    "twg login --token $TOKEN --profile work": set(),
    "twg login --token=${TOKEN} --password `pass show x` --pat $(pass show y)": set(),
    "twg auth site key.example.com": set(),
    "git commit -m 'twg: keep the key ring'": set(),
}


@pytest.mark.parametrize(("entry", "kinds"), REFUSABLE.items(), ids=REFUSABLE)
def test_a_command_is_looked_at_as_if_it_were_run(entry: str, kinds: set[str]) -> None:
    """It may have been run elsewhere, or before there was anything to refuse it."""
    assert Lookout(programs=["twg"], commands=True)(entry) == kinds


def test_of_several_kinds_the_one_that_says_most_is_told() -> None:
    known = {fingerprint(SECRET): "access-token"}
    look = Lookout(
        shapes=True, fingerprints=known, fingerprint=fingerprint, programs=["twg"], commands=True
    )

    assert look(f"twg login --token={SECRET}") == {"access-token"}
    assert look("twg login --token=0pen-Sesame") == {"refused-secret"}
    assert look("export API_TOKEN=0pen-Sesame-x9") == {"named-secret"}


def test_what_looks_like_a_secret_is_found_where_that_is_wanted() -> None:
    assert Lookout(shapes=True)(f"echo {JWT}") == {"jwt"}
    assert Lookout()(f"echo {JWT}") == set()


@pytest.mark.parametrize("shape", shapes.SHAPES, ids=lambda shape: shape.kind)
@pytest.mark.parametrize("filler", ["a line of a log\n", "grüße aus ሴ "])
def test_in_a_large_text_what_looks_like_a_secret_is_found_as_in_a_small_one(
    shape: shapes.Shape, filler: str
) -> None:
    before = filler * 3000
    text = f"{before}\n{shape.example}\n{before}"
    expected = [(start, end, each.kind) for start, end, each in shapes.find(text)]

    assert expected
    assert list(Lookout(shapes=True).spans(text)) == expected


def test_in_a_file_the_place_of_a_secret_is_told() -> None:
    known = {fingerprint(SECRET): "access-token"}
    look = Lookout(shapes=True, fingerprints=known, fingerprint=fingerprint)
    text = f"one\ntoken: {SECRET}, {JWT}\nurl=https://x:{SECRET}@h/"

    found = [(text[start:end], kind) for start, end, kind in look.spans(text)]

    assert (JWT, "jwt") in found
    assert [text for text, _ in found].count(SECRET) == 2
    assert all(text in {SECRET, JWT} for text, _ in found)


@given(st.text(alphabet="ab \\\"'\n=-$"))
def test_words_are_those_that_a_shell_makes(text: str) -> None:
    try:
        expected = shlex.split(text)
    except ValueError:  # a quote that is not closed
        list(words_of(text))
        return
    if "$" not in text and "\\\n" not in text:
        assert list(words_of(text)) == expected


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), min_size=8))
def test_whatever_was_passed_is_found_again(value: str) -> None:
    argv = ["login", "--password", value]
    look = after(value, *argv)

    if len(value) <= 4000 and not value.startswith("-"):
        assert look(f"twg {shlex.join(argv)}") == {"made-up"}


def test_a_long_line_of_quotes_takes_no_longer_than_its_length() -> None:
    """It would not end in a test's time otherwise."""
    for piece in ("'\"\\", '"a', "'a\"", "\\", "=x-"):
        sum(1 for _ in words_of(piece * 100_000))
