"""Step: a Bento goes into service on Ray Serve."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def deploy(bento: dsl.Input[dsl.Model], serve_api: str, serve_url: str) -> str:
    """Deploys through Ray Serve's REST API and waits until the release answers.

    Args:
        bento: the Bento, with its release's id.
        serve_api: Ray's dashboard, such as `http://127.0.0.1:8265`.
        serve_url: where requests are answered, such as `http://127.0.0.1:8000`.

    Returns:
        The release that serves.
    """
    from components.serve_api import put_into_service
    from monitoring.progress import step

    with step("deploy") as say:
        release_id = bento.metadata["release_id"]
        seconds = put_into_service(bento.metadata["address"], release_id, serve_api=serve_api, serve_url=serve_url, say=say)
        facts = {"release_id": release_id, "bundle": bento.metadata["bundle"]}
        say(f"{release_id} answers at {serve_url} after {seconds:.1f} s", **facts)
        return release_id
