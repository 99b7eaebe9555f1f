-- How much work a category offers and how many want it; daily snapshots over windows of 7 and 28 days.
-- key: category
-- feature: category_jobs_28d | jobs posted in 28 days | count | default 0
-- feature: category_clicks_28d | clicks in 28 days | count | default 0
-- feature: category_applies_a_job_28d | applications in 28 days by job posted then, each plus 1 | ratio
-- feature: category_trend | clicks a week, last 7 days over last 28, each plus 1 | ratio
WITH daily AS (
    SELECT category, created_at::DATE AS day, count(*) AS jobs, 0 AS clicks, 0 AS applies, false AS snapshot
    FROM items GROUP BY ALL
    UNION ALL
    SELECT category, day, 0, count(*) FILTER (kind = 'click'), count(*) FILTER (kind = 'apply'), false
    FROM outcomes GROUP BY ALL
),
-- a count changes on the midnight after a day, and when that day leaves a window
snapshots AS (
    SELECT DISTINCT category, day + lag AS day, 0, 0, 0, true
    FROM daily CROSS JOIN (VALUES (1), (8), (29)) AS lags(lag)
),
windowed AS (
    SELECT
        category, day, snapshot,
        coalesce(sum(jobs) OVER month, 0) AS jobs_28d,
        coalesce(sum(clicks) OVER week, 0) AS clicks_7d,
        coalesce(sum(clicks) OVER month, 0) AS clicks_28d,
        coalesce(sum(applies) OVER month, 0) AS applies_28d
    FROM (SELECT * FROM daily UNION ALL SELECT * FROM snapshots)
    WINDOW
        week AS (PARTITION BY category ORDER BY day RANGE BETWEEN INTERVAL 7 DAYS PRECEDING AND INTERVAL 1 DAY PRECEDING),
        month AS (PARTITION BY category ORDER BY day RANGE BETWEEN INTERVAL 28 DAYS PRECEDING AND INTERVAL 1 DAY PRECEDING)
)
SELECT
    category,
    day::TIMESTAMPTZ AS valid_from,
    jobs_28d AS category_jobs_28d,
    clicks_28d AS category_clicks_28d,
    (applies_28d + 1) / (jobs_28d + 1) AS category_applies_a_job_28d,
    (clicks_7d + 1) / (clicks_28d / 4 + 1) AS category_trend
FROM windowed
WHERE snapshot
