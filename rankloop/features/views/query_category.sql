-- Which categories people mean by a search; daily snapshots on days the query led to a click.
-- key: query, category
-- feature: query_category_clicks | clicks in the category after the query | count | default 0
-- feature: query_category_click_share | share of all clicks after the query | ratio
WITH by_day AS (
    SELECT query, category, day, count(*) AS clicks
    FROM outcomes
    WHERE query IS NOT NULL AND category IS NOT NULL AND kind = 'click'
    GROUP BY ALL
),
-- a share changes in every category that was met when any of them changes
days AS (SELECT DISTINCT query, day FROM by_day),
met AS (SELECT query, category, min(day) AS since FROM by_day GROUP BY ALL),
filled AS (
    SELECT query, category, day, coalesce(clicks, 0) AS clicks
    FROM met JOIN days USING (query) LEFT JOIN by_day USING (query, category, day)
    WHERE day >= since
)
SELECT
    query,
    category,
    (day + 1)::TIMESTAMPTZ AS valid_from,
    sum(clicks) OVER (PARTITION BY query, category ORDER BY day) AS query_category_clicks,
    sum(clicks) OVER (PARTITION BY query, category ORDER BY day)
        / sum(clicks) OVER (PARTITION BY query ORDER BY day) AS query_category_click_share
FROM filled
