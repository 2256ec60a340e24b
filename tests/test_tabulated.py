"""A table in its four forms: each is whole, and says the same."""

import re

import pandas as pd
import pytest
from made_accuracies import runs, table

from energylens import paths, tabulated
from energylens.errors import UserError
from energylens.tabulated import Tabulated

FIVE = [40, 40.2, 40.4, 40.6, 40.8]
ALL = {"clean": FIVE, "pgd": FIVE, "autoattack": FIVE}


def made(name: str) -> Tabulated:
    frames = [table(trades=ALL, sat=ALL, weat_adv=ALL), runs("trades", "cifar100", n=10_000, **ALL)]
    frames.append(runs("weat-adv", "cifar100", n=10_000, **ALL))
    module = paths.load("figures", name)
    return module.draw(pd.concat(frames))


@pytest.fixture(params=["tab1a", "tab1b", "tab1c"])
def real(request) -> Tabulated:
    return made(request.param)


@pytest.fixture
def small() -> Tabulated:
    shown = pd.DataFrame(
        [["WEAT_NAT", "39.4±1.2 +", "30.9±0.2*"], ["50 % & more", "38.0 -", "–"]],
        columns=pd.MultiIndex.from_tuples([("", "method"), ("digits: eps 0.2", "clean"), ("cifar", "published clean")]),
    )
    numbers = pd.DataFrame({"method": ["a", "b"], "mean": [39.4, float("nan")], "seeds": [5, 0]})
    return Tabulated("A table", numbers, shown, ("x* > x | 5 % of p_y [sic]; 1 - 2", "second"))


def test_text_puts_columns_below_each_other(small):
    assert tabulated.text(small) == (
        "A table\n\ndigits: eps 0.2\n"
        "method       clean\n-----------  ----------\nWEAT_NAT     39.4±1.2 +\n50 % & more  38.0 -\n\n"
        "cifar\n             published\nmethod       clean\n-----------  ---------\n"
        "WEAT_NAT     30.9±0.2*\n50 % & more  –\n\n"
        "- x* > x | 5 % of p_y [sic]; 1 - 2\n- second\n"
    )


def test_text_fits_a_terminal_and_keeps_published_columns_together(real):
    lines = tabulated.text(real).splitlines()
    assert max(map(len, lines)) <= 120
    assert all(line.split() in (["published"] * 3, []) for line in lines if line.strip().startswith("published"))


def test_csv_read_back_gives_the_numbers(real, tmp_path):
    read = pd.read_csv(tabulated.save(real, tmp_path / "new" / "table.csv"), keep_default_na=True)
    assert list(read.columns) == list(real.numbers.columns)
    numeric = real.numbers.columns.difference(["method", "data", "measure", "verdict"])
    pd.testing.assert_frame_equal(read[numeric], real.numbers[numeric], rtol=1e-9)
    assert read["method"].tolist() == real.numbers["method"].tolist()
    assert read["verdict"].fillna("").tolist() == real.numbers["verdict"].tolist()


def test_markdown_rows_have_one_number_of_cells(real):
    rows = [line for line in tabulated.markdown(real).splitlines() if line.startswith("|")]
    blocks = list(tabulated.blocks(real))
    assert len(rows) == sum(len(block) + 2 for _, block in blocks)
    cells = [len(re.split(r"(?<!\\)\|", row)) - 2 for row in rows]
    assert cells == [block.shape[1] for _, block in blocks for _ in range(len(block) + 2)]


def test_markdown_escapes_what_would_be_set(small):
    written = tabulated.markdown(small)
    assert "| WEAT\\_NAT | 39.4±1.2 + |" in written
    assert "| WEAT\\_NAT | 30.9±0.2\\* |" in written
    assert "- x\\* \\> x \\| 5 % of p\\_y \\[sic\\]; 1 - 2\n" in written


def test_latex_is_balanced_and_escaped(real):
    written = tabulated.latex(real)
    for environment in ("table", "tabular"):
        begun, ended = written.count(f"\\begin{{{environment}}}"), written.count(f"\\end{{{environment}}}")
        assert begun == ended == (1 if environment == "table" else len(list(tabulated.blocks(real))))
    bare = written.replace("\\\\", "").split("\n", 1)[1]  # line ends, the comment in front
    assert bare.replace("\\{", "").count("{") == bare.replace("\\}", "").count("}")
    assert bare.count("$") % 2 == 0
    assert not re.search(r"(?<!\\)[%#_~^|]", bare.replace("$|$", ""))
    assert bare.isascii()
    for rows in re.findall(r"\\toprule\n(.*?)\\bottomrule", written, re.S):
        lines = [line for line in rows.splitlines() if line != "\\midrule"]
        assert len({line.count("&") for line in lines}) == 1
        assert all(line.endswith("\\\\") for line in lines)


def test_latex_sets_signs_and_names(small):
    written = tabulated.latex(small)
    assert "WEAT\\textsubscript{NAT} & 39.4$\\pm$1.2 + \\\\" in written
    assert "50 \\% \\& more & 38.0 $-$ \\\\" in written
    assert "method & \\shortstack[l]{published\\\\clean} \\\\" in written
    assert "\\par x* $>$ x $|$ 5 \\% of p\\_y {[}sic{]}; 1 $-$ 2\n" in written


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".md", ".tex"])
def test_a_suffix_names_the_form(small, tmp_path, suffix):
    path = tabulated.save(small, tmp_path / f"table{suffix}")
    assert path.read_text(encoding="utf-8") == tabulated.WRITERS[suffix](small)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_another_suffix_is_told(small, tmp_path):
    with pytest.raises(UserError, match=r"unknown format 'pdf'; .*available: txt, csv, md, tex"):
        tabulated.save(small, tmp_path / "table.pdf")
