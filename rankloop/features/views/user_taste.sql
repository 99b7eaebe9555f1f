-- What the jobs that a freelancer clicks on pay and take; daily snapshots on days with a click.
-- key: user_id
-- feature: user_clicked_budget | geometric mean budget of clicked jobs | currency
-- feature: user_clicked_duration | geometric mean duration of clicked jobs | days
-- feature: user_applied_daily_pay | geometric mean pay a day of jobs applied to | currency a day
WITH acts AS (
    SELECT
        user_id, day, kind,
        -- decimals: a sum of them does not depend on its order
        CASE WHEN budget > 0 THEN ln(budget)::DECIMAL(18, 9) END AS budget,
        CASE WHEN duration_days > 0 THEN ln(duration_days)::DECIMAL(18, 9) END AS duration,
        CASE WHEN budget > 0 THEN ln(budget / greatest(duration_days, 1))::DECIMAL(18, 9) END AS pay
    FROM outcomes JOIN items USING (item_id)
    WHERE kind IN ('click', 'apply')
),
by_day AS (
    SELECT
        user_id, day,
        sum(budget) FILTER (kind = 'click') AS budgets, count(budget) FILTER (kind = 'click') AS n_budgets,
        sum(duration) FILTER (kind = 'click') AS durations, count(duration) FILTER (kind = 'click') AS n_durations,
        sum(pay) FILTER (kind = 'apply') AS pays, count(pay) FILTER (kind = 'apply') AS n_pays
    FROM acts GROUP BY ALL
)
SELECT
    user_id,
    (day + 1)::TIMESTAMPTZ AS valid_from,
    exp(sum(budgets) OVER life / nullif(sum(n_budgets) OVER life, 0)) AS user_clicked_budget,
    exp(sum(durations) OVER life / nullif(sum(n_durations) OVER life, 0)) AS user_clicked_duration,
    exp(sum(pays) OVER life / nullif(sum(n_pays) OVER life, 0)) AS user_applied_daily_pay
FROM by_day
WINDOW life AS (PARTITION BY user_id ORDER BY day)
