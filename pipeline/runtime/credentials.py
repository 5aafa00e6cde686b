"""Which credentials a process would use, by their kind and never by their value."""

import os

import fsspec

OF_S3 = {"env": "AWS_*", "shared-credentials-file": "~/.aws", "config-file": "~/.aws", "iam-role": "the machine's role"}


def of_places(uris: tuple[str, ...]) -> str:
    """For the object stores among these URIs; `none` where there are none, empty where none is asked for."""
    kinds = sorted({_of_s3(uri) for uri in uris if uri.startswith(("s3://", "s3a://"))})
    return ", ".join(kinds)


def of_mlflow(tracking_uri: str) -> str:
    """As its client takes them from the environment; empty where it asks for none."""
    if not tracking_uri.startswith("http"):
        return ""
    if os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return "a token"
    names = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
    return "user and password" if all(os.environ.get(name) for name in names) or "@" in tracking_uri else "none"


def of_ray() -> str:
    return "a token" if os.environ.get("RAY_AUTH_MODE") == "token" else "none asked for"


def _of_s3(uri: str) -> str:
    fs, _ = fsspec.core.url_to_fs(uri)
    if any(fs.storage_options.get(name) for name in ("anon", "key", "token")):
        return "fsspec's settings"
    import botocore.session

    found = botocore.session.Session(profile=fs.storage_options.get("profile")).get_credentials()
    return "none" if found is None else OF_S3.get(found.method, str(found.method))
