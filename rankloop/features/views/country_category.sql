-- What people of a country look for; daily snapshots on days one of them clicked.
-- key: country, category
-- feature: country_category_click_share | share of the country's clicks | ratio
WITH by_day AS (
    SELECT country, category, day, count(*) AS clicks
    FROM outcomes
    WHERE country IS NOT NULL AND category IS NOT NULL AND kind = 'click'
    GROUP BY ALL
),
-- a share changes in every category that was met when any of them changes
days AS (SELECT DISTINCT country, day FROM by_day),
met AS (SELECT country, category, min(day) AS since FROM by_day GROUP BY ALL),
filled AS (
    SELECT country, category, day, coalesce(clicks, 0) AS clicks
    FROM met JOIN days USING (country) LEFT JOIN by_day USING (country, category, day)
    WHERE day >= since
)
SELECT
    country,
    category,
    (day + 1)::TIMESTAMPTZ AS valid_from,
    sum(clicks) OVER (PARTITION BY country, category ORDER BY day)
        / sum(clicks) OVER (PARTITION BY country ORDER BY day) AS country_category_click_share
FROM filled
