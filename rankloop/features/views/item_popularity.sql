-- How often a job was shown and acted on lately; daily snapshots over windows of 7 and 28 days.
-- key: item_id
-- feature: item_impressions_7d | times shown in 7 days | count | default 0
-- feature: item_clicks_7d | clicks in 7 days | count | default 0
-- feature: item_clicks_28d | clicks in 28 days | count | default 0
-- feature: item_applies_7d | applications in 7 days: how many compete now | count | default 0
-- feature: item_applies_28d | applications in 28 days | count | default 0
-- feature: item_trend | clicks a week, last 7 days over last 28, each plus 1 | ratio
WITH daily AS (
    SELECT item_id, day, count(*) AS shown, 0 AS clicks, 0 AS applies, false AS snapshot
    FROM impressions GROUP BY ALL
    UNION ALL
    SELECT item_id, day, 0, count(*) FILTER (kind = 'click'), count(*) FILTER (kind = 'apply'), false
    FROM outcomes GROUP BY ALL
),
-- a count changes on the midnight after a day, and when that day leaves a window
snapshots AS (
    SELECT DISTINCT item_id, day + lag AS day, 0, 0, 0, true
    FROM daily CROSS JOIN (VALUES (1), (8), (29)) AS lags(lag)
),
windowed AS (
    SELECT
        item_id, day, snapshot,
        coalesce(sum(shown) OVER week, 0) AS shown_7d,
        coalesce(sum(clicks) OVER week, 0) AS clicks_7d,
        coalesce(sum(clicks) OVER month, 0) AS clicks_28d,
        coalesce(sum(applies) OVER week, 0) AS applies_7d,
        coalesce(sum(applies) OVER month, 0) AS applies_28d
    FROM (SELECT * FROM daily UNION ALL SELECT * FROM snapshots)
    WINDOW
        week AS (PARTITION BY item_id ORDER BY day RANGE BETWEEN INTERVAL 7 DAYS PRECEDING AND INTERVAL 1 DAY PRECEDING),
        month AS (PARTITION BY item_id ORDER BY day RANGE BETWEEN INTERVAL 28 DAYS PRECEDING AND INTERVAL 1 DAY PRECEDING)
)
SELECT
    item_id,
    day::TIMESTAMPTZ AS valid_from,
    shown_7d AS item_impressions_7d,
    clicks_7d AS item_clicks_7d,
    clicks_28d AS item_clicks_28d,
    applies_7d AS item_applies_7d,
    applies_28d AS item_applies_28d,
    (clicks_7d + 1) / (clicks_28d / 4 + 1) AS item_trend
FROM windowed
WHERE snapshot
