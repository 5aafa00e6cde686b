"""The aliases of registered models, for those who ask which one serves and load none."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.registry.client import Client


def aliases_of(client: "Client", name: str) -> dict[str, str]:
    """Alias -> version; none of a model that is not registered."""
    from mlflow.exceptions import MlflowException

    try:
        return {alias: str(number) for alias, number in client.get_registered_model(name).aliases.items()}
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}
