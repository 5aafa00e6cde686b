from pipeline.report.trials import Axis, plot_trials, suffixes


def test_a_line_a_trial_crosses_each_axis_at_its_value_and_the_lowest_ne_at_the_top():
    rate = Axis("learning_rate", (0.0, 0.25, 1.0), ((0.0, "0.001"), (1.0, "0.1")))
    [axes] = plot_trials([rate], [0.9, 0.8, 1.0], best=1).axes
    lines = [line.get_ydata() for line in axes.lines if line.get_zorder() > 1]
    assert {(x, round(y, 9)) for x, y in lines} == {(0.0, 0.5), (0.25, 1.0), (1.0, 0.0)}
    [best] = [line for line in axes.lines if line.get_label() == "the best trial"]
    assert best.get_ydata()[0] == 0.25
    assert {text.get_text() for text in axes.texts} == {"0.001", "0.1", "0.8000", "1.0000"}
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["learning_rate", "NE"]


def test_trials_that_are_all_alike_are_drawn_too():
    figure = plot_trials([Axis("hidden", (0.0,), ((0.0, "[8]"),))], [0.9], best=0)
    assert len(figure.axes) == 1


def test_a_key_is_called_by_the_last_words_that_tell_it_from_the_others_and_never_cut():
    rows, net, mlp = "stages.fnn.embedding.learning_rate", "stages.fnn.optimizer.learning_rate", "stages.fnn.mlp.hidden"
    assert suffixes([rows, net, mlp]) == ["embedding.learning_rate", "optimizer.learning_rate", "hidden"]
    assert suffixes([net, net.replace("fnn", "fm")]) == ["fnn.optimizer.learning_rate", "fm.optimizer.learning_rate"]
    assert suffixes(["a.b", "b"]) == ["a.b", "b"]
    name = "fnn.optimizer.learning_rate"
    [axes] = plot_trials([Axis(name, (0.0,), ())], [0.9], best=0).axes
    assert axes.get_xticklabels()[0].get_text().replace("\n", "") == name
