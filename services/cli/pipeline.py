"""`rankloop pipeline compile | submit`: the same pipeline for a Kubeflow Pipelines server."""

from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.markup import escape

from rankloop.errors import DataError, StackError
from services.cli.console import out
from services.cli.given import Mapping
from services.cli.release import Recipe, Set, recipe_from

__all__ = ["app", "compile_", "submit"]

app = typer.Typer(no_args_is_help=True, help="Compile the release pipeline, or send it to a server.")


@app.command("compile")
def compile_(
    file: Annotated[Path, typer.Argument(help="The YAML file to write.")] = Path("release.yaml"),
    pipeline: Annotated[str, typer.Option("--pipeline", help="Which: release or drift_watch.")] = "release",
) -> None:
    """Write a pipeline as KFP YAML."""
    from pipelines.events import PIPELINES
    from pipelines.launch import compile_release
    from pipelines.watch import compile_watch

    if pipeline not in PIPELINES:
        raise DataError(f"there is no pipeline {pipeline!r}; give one of {', '.join(PIPELINES)}")
    (compile_watch if pipeline == "drift_watch" else compile_release)(file)
    out.print(f"wrote {escape(str(file))}", soft_wrap=True)


@app.command()
def submit(
    path: Annotated[str, typer.Argument(help="The log as the cluster sees it, such as s3://bucket/log.")],
    host: Annotated[str, typer.Option("--host", help="The KFP API, such as http://localhost:8888.")],
    source: Annotated[str, typer.Option("--source", help="The data's format.")] = "contract",
    mapping: Mapping = "",
    recipe: Recipe = None,
    fields: Set = None,
    champion: Annotated[str, typer.Option("--champion", help="The bundle of the release that serves there.")] = "",
    control_api: Annotated[
        str, typer.Option("--control-api", help="The cluster's control plane, as its steps see it.")
    ] = "http://127.0.0.1:8002",
    ray_address: Annotated[str, typer.Option("--ray-address", help="The Ray cluster to tune on.")] = "",
    token: Annotated[
        str, typer.Option("--token", envvar="RANKLOOP_KFP_TOKEN", help="A bearer token for the API.", show_default=False)
    ] = "",
) -> None:
    """Send the release pipeline to a Kubeflow Pipelines server, and name the run."""
    from kfp_server_api.exceptions import OpenApiException

    from pipelines.launch import Order, submit_release

    chosen = recipe_from(recipe, fields or [])
    order = Order(source, path, mapping, chosen, control_api=control_api, ray_address=ray_address)
    _assert_answers(host)
    try:
        run_id = submit_release(order, host, champion=champion, token=token or None)
    except OpenApiException as error:
        raise StackError(f"{host} refused the run: {str(error).strip()[:800]}") from error
    out.print(f"run [bold]{escape(run_id)}[/bold] on {escape(host)}", soft_wrap=True)


def _assert_answers(host: str) -> None:
    """The client retries for minutes where nothing listens, so this asks once first."""
    try:
        httpx.get(f"{host.rstrip('/')}/apis/v2beta1/healthz", timeout=10.0)
    except (httpx.TransportError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise StackError(f"no KFP API answers at {host!r} ({error}); give its address, such as http://localhost:8888") from error
