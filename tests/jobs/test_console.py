from rich.table import Table

from jobs.console import ProgressView, result_console
from pipeline.runtime.progress import Event

ODD = "*a*_b_[x](http://y)<b> [red]c[/] [/d] :smile: `e`"


def test_names_that_look_like_markup_are_shown_as_they_are(capsys):
    table = Table(title=ODD)
    table.add_column(ODD)
    table.add_row(ODD)
    console = result_console()
    console.print(table)
    console.print(ODD)
    with ProgressView() as show:
        show(Event(ODD, 0, 1))
        show(Event(ODD, 1, 1, f"{ODD} http://user:s3cr/t@host"))
    said = capsys.readouterr()
    assert said.out.count(ODD) == 4
    assert said.err.count(ODD) == 3
    assert f"{ODD} http://***@host" in said.err
