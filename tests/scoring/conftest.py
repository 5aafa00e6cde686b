from random_bundles import bundle_folder, config, random_log, state  # noqa: F401 (fixtures)
