-- How often a search is made and how it ends; daily snapshots on days it was made or led to a click.
-- key: query
-- feature: query_requests | times searched | count | default 0
-- feature: query_click_rate | clicks an impression, 1 in 20 added | ratio
-- feature: query_breadth | different jobs clicked, a click: near 0 where all want the same job | ratio
WITH daily AS (
    SELECT query, day, count(DISTINCT request_id) AS requests, count(*) AS shown, 0 AS clicks, 0 AS items
    FROM impressions WHERE query IS NOT NULL GROUP BY ALL
    UNION ALL
    SELECT query, day, 0, 0, count(*), 0
    FROM outcomes WHERE query IS NOT NULL AND kind = 'click' GROUP BY ALL
    UNION ALL
    -- a job counts on the day of its first click
    SELECT query, first_day, 0, 0, 0, count(*)
    FROM (
        SELECT query, item_id, min(day) AS first_day
        FROM outcomes WHERE query IS NOT NULL AND kind = 'click' GROUP BY ALL
    )
    GROUP BY ALL
),
by_day AS (
    SELECT query, day, sum(requests) AS requests, sum(shown) AS shown, sum(clicks) AS clicks, sum(items) AS items
    FROM daily GROUP BY ALL
)
SELECT
    query,
    (day + 1)::TIMESTAMPTZ AS valid_from,
    sum(requests) OVER life AS query_requests,
    (sum(clicks) OVER life + 1) / (sum(shown) OVER life + 20) AS query_click_rate,
    sum(items) OVER life / nullif(sum(clicks) OVER life, 0) AS query_breadth
FROM by_day
WINDOW life AS (PARTITION BY query ORDER BY day)
