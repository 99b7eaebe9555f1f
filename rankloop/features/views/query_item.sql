-- How a job did for the very same search; daily snapshots on days it was shown or acted on there.
-- key: query, item_id
-- feature: query_item_impressions | times shown for the query | count | default 0
-- feature: query_item_clicks | clicks after the query | count | default 0
-- feature: query_item_coec | clicks over the clicks its positions promised, both plus 1 | ratio
WITH daily AS (
    SELECT query, item_id, day, count(*) AS shown, sum(expected_click) AS expected, 0 AS clicks
    FROM impressions WHERE query IS NOT NULL GROUP BY ALL
    UNION ALL
    SELECT query, item_id, day, 0, 0, count(*)
    FROM outcomes WHERE query IS NOT NULL AND kind = 'click' GROUP BY ALL
),
by_day AS (
    SELECT query, item_id, day, sum(shown) AS shown, sum(expected) AS expected, sum(clicks) AS clicks
    FROM daily GROUP BY ALL
)
SELECT
    query,
    item_id,
    (day + 1)::TIMESTAMPTZ AS valid_from,
    sum(shown) OVER life AS query_item_impressions,
    sum(clicks) OVER life AS query_item_clicks,
    (sum(clicks) OVER life + 1) / (sum(expected) OVER life + 1) AS query_item_coec
FROM by_day
WINDOW life AS (PARTITION BY query, item_id ORDER BY day)
