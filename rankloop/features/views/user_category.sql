-- How a freelancer takes to a category of work; daily snapshots on the freelancer's days with an impression or action.
-- key: user_id, category
-- feature: user_category_clicks | clicks in the category | count | default 0
-- feature: user_category_applies | applications in the category | count | default 0
-- feature: user_category_click_share | share of all the freelancer's clicks | ratio
-- feature: user_category_coec | clicks over the clicks the positions promised, both plus 1 | ratio
-- feature: user_category_days_since_click | since the last day's last click | days
WITH daily AS (
    SELECT user_id, category, day, sum(expected_click) AS expected,
        0 AS placed, 0 AS clicks, 0 AS applies, NULL::TIMESTAMPTZ AS clicked_at
    FROM impressions WHERE category IS NOT NULL GROUP BY ALL
    UNION ALL
    SELECT user_id, category, day, 0,
        count(*) FILTER (kind = 'click' AND position IS NOT NULL), count(*) FILTER (kind = 'click'),
        count(*) FILTER (kind = 'apply'), max(ts) FILTER (kind = 'click')
    FROM outcomes WHERE category IS NOT NULL GROUP BY ALL
),
-- a share changes in every category that was met when any of them changes
days AS (SELECT DISTINCT user_id, day FROM daily),
met AS (SELECT user_id, category, min(day) AS since FROM daily GROUP BY ALL),
by_day AS (
    SELECT user_id, category, day, sum(expected) AS expected, sum(placed) AS placed, sum(clicks) AS clicks,
        sum(applies) AS applies, max(clicked_at) AS clicked_at
    FROM daily GROUP BY ALL
),
filled AS (
    SELECT user_id, category, day, coalesce(expected, 0) AS expected, coalesce(placed, 0) AS placed,
        coalesce(clicks, 0) AS clicks, coalesce(applies, 0) AS applies, clicked_at
    FROM met JOIN days USING (user_id) LEFT JOIN by_day USING (user_id, category, day)
    WHERE day >= since
),
so_far AS (
    SELECT
        user_id, category, day,
        sum(clicks) OVER pair AS clicks,
        sum(applies) OVER pair AS applies,
        sum(clicks) OVER whole AS all_clicks,
        sum(placed) OVER pair AS placed,
        sum(expected) OVER pair AS expected,
        max(clicked_at) OVER pair AS clicked_at
    FROM filled
    WINDOW
        pair AS (PARTITION BY user_id, category ORDER BY day),
        whole AS (PARTITION BY user_id ORDER BY day)
)
SELECT
    user_id,
    category,
    (day + 1)::TIMESTAMPTZ AS valid_from,
    clicks AS user_category_clicks,
    applies AS user_category_applies,
    clicks / nullif(all_clicks, 0) AS user_category_click_share,
    (placed + 1) / (expected + 1) AS user_category_coec,
    clicked_at AS user_category_days_since_click
FROM so_far
