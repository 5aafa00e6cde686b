"""The library: how a click log becomes a registered model, room by room.

The walk of one click, a row of `logs/date=2026-11-19/part-3.parquet`, which `intake` may have made of another format:

1. `data.day_folders` finds its file by its folder, or `data.timed_files` by a column of times, from the footer;
   `data.logs` freezes a manifest of every file used. A log that breaks the contract of `schemas` is refused here,
   before any row is read; `data.quality` refuses bad values as rows stream.
2. `data.passes` reads the log twice, by threads of the command or, as `data.spread` decides, on all nodes: to count
   values, of which `data.vocabulary` makes one append-only id space, and to encode rows by `data.encode` into the
   packed `data.store`, shuffled within their day.
3. `data.feed` streams the store to each training rank, as the `Batch`es of `data.batch`; a lone rank reads a store on a
   disk itself, by `data.windows`.
4. `training.fitting` runs the stages of the plan, controls included: in this process, or in one worker group by
   `training.on_ray`. `training.stage` takes one from where it starts to its published result: each step of
   `training.loop` gathers the batch's rows from `embedding.table`, has a model of `models` give logits, and updates
   just those rows; `training.early_stop` looks on.
5. `evaluation.metrics` adds up the held-out day (`evaluation.objectives` has the sums of classes and numbers),
   `evaluation.lift` says what pretraining bought, and `evaluation.gate` whether the candidate may become champion;
   `report` draws what they found.
6. `registry.bundle` is spec, vocabulary and weights as one folder; `registry.retrain_run` records the run in MLflow,
   `registry.registration` makes a version of the bundle, and `registry.versions` lets one serve; `registry.pyfunc`
   scores raw rows with it.
7. `scoring` writes or evaluates what a registered model says of a day, and tells what each field is worth to it;
   `export` makes it a graph of ONNX, which other runtimes run.
8. `retrain` calls it all, in this order, from `opening` up to a verdict; `sweep` calls the training alone, for many
   configs.
9. `nights` does so for the newest day: `profiles` look at it, yesterday's champion is judged on it and goes on with
   what it has not learned, the gate holds the candidate against it, and the morning's page tells.

Imports go the other way, from `submission` and `bench` down to `runtime`; import-linter holds each room to its floor.
"""
