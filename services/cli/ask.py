"""`rankloop recommend | search | rank | similar`: asks the release that serves, over HTTP."""

import json
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer
from rich.markup import escape
from rich.table import Table

from services.cli.api import Reply, call
from services.cli.console import out
from services.settings import Settings

__all__ = ["rank", "recommend", "search", "show_list", "similar"]

_EXPLAINED: Final = 12

User = Annotated[str, typer.Option("--user", "-u", help="The person's id; an unknown one gets what is popular.")]
K = Annotated[int, typer.Option("--k", "-k", help="How many items.")]
Url = Annotated[str, typer.Option("--url", help="The service's address.  [default: this machine's stack]", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as it came.")]


def recommend(
    user: User,
    k: K = 10,
    surface: Annotated[str, typer.Option("--surface", help="job_feed, job_search or talent_search.")] = "job_feed",
    url: Url = "",
    as_json: Json = False,
) -> None:
    """Show the best items for a person."""
    asked = {"user_id": user, "k": k, "surface": surface}
    _show(call(_service(url), "/v1/recommend", asked), f"for {user}", as_json=as_json)


def search(
    query: Annotated[str, typer.Argument(help="What a person would type.")],
    user: Annotated[str, typer.Option("--user", "-u", help="The person who searches.")] = "",
    k: K = 10,
    surface: Annotated[str, typer.Option("--surface", help="job_feed, job_search or talent_search.")] = "job_search",
    url: Url = "",
    as_json: Json = False,
) -> None:
    """Show the best items for a search text."""
    asked = {"query": query, "user_id": user or None, "k": k, "surface": surface}
    title = f"for {query!r}" + (f" by {user}" if user else "")
    _show(call(_service(url), "/v1/search", asked), title, as_json=as_json)


def rank(
    items: Annotated[list[str], typer.Argument(help="Item ids, in any order.")],
    user: User,
    query: Annotated[str, typer.Option("--query", "-q", help="The search text the items were found for.")] = "",
    explain: Annotated[
        bool, typer.Option("--explain", help="Show which features add most to each score; --json has all.")
    ] = False,
    url: Url = "",
    as_json: Json = False,
) -> None:
    """Order given items for a person."""
    asked = {"user_id": user, "item_ids": items, "query": query or None, "explain": explain}
    reply = call(_service(url), "/v1/rank", asked)
    _show(reply, f"{len(items)} given items for {user}", as_json=as_json)
    if as_json:
        return
    if unknown := reply.body["unknown_items"]:
        out.print(f"[yellow]the release does not hold {escape(', '.join(unknown))}[/yellow]", soft_wrap=True)
    for explanation in reply.body["explanations"] or []:
        out.print(_contributions(explanation))


def similar(item: Annotated[str, typer.Argument(help="The item's id.")], k: K = 10, url: Url = "", as_json: Json = False) -> None:
    """Show the items nearest to one."""
    _show(call(_service(url), f"/v1/items/{quote(item, safe='')}/similar", k=k), f"near {item}", as_json=as_json)


def show_list(reply: Reply, title: str) -> None:
    """Prints a ranked list and where it came from."""
    table = Table(title=escape(title), title_justify="left", title_style="bold")
    table.add_column("#", justify="right")
    table.add_column("title", overflow="fold", ratio=1)
    table.add_column("item", no_wrap=True)
    table.add_column("score", justify="right")
    table.add_column("source")
    for item in reply.body["items"]:
        row = (item["title"], item["item_id"], f"{item['score']:.4f}", item["source"])
        table.add_row(str(item["position"]), *map(escape, row))
    out.print(table)
    if fallback := reply.body.get("fallback"):
        out.print(f"[yellow]fallback: {escape(fallback)}[/yellow]", soft_wrap=True)
    names = f"release {reply.body['release_id']}, request {reply.body['request_id']}, as of {reply.body['as_of']}"
    out.print(f"[dim]{escape(names)}, {reply.milliseconds:.1f} ms[/dim]", soft_wrap=True)


def _show(reply: Reply, title: str, *, as_json: bool) -> None:
    if as_json:
        out.print(json.dumps(reply.body, indent=2, ensure_ascii=False), markup=False, soft_wrap=True)
        return
    show_list(reply, title)


def _contributions(explanation: dict[str, Any]) -> Table:
    table = Table("feature", "value", "adds", title=f"why {escape(explanation['item_id'])}", title_justify="left")
    table.columns[1].justify = table.columns[2].justify = "right"
    parts = explanation["contributions"]
    for part in parts[:_EXPLAINED]:
        value = "undefined" if part["value"] is None else f"{part['value']:.4g}"
        table.add_row(escape(part["feature"]), value, f"{part['contribution']:+.4f}")
    if rest := parts[_EXPLAINED:]:
        table.add_row(f"{len(rest)} others", "", f"{sum(part['contribution'] for part in rest):+.4f}", style="dim")
    table.add_row("constant", "", f"{explanation['constant']:+.4f}", style="dim")
    return table


def _service(url: str) -> str:
    return (url or Settings.read().service_url).rstrip("/")
