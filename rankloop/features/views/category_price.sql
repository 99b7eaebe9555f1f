-- What jobs of a category usually pay; daily snapshots on days one was posted.
-- key: category
-- feature: category_budget | geometric mean budget of all its jobs so far | currency
WITH by_day AS (
    -- decimals: a sum of them does not depend on its order
    SELECT category, created_at::DATE AS day, sum(ln(budget)::DECIMAL(18, 9)) AS budgets, count(*) AS jobs
    FROM items
    WHERE budget > 0
    GROUP BY ALL
)
SELECT
    category,
    (day + 1)::TIMESTAMPTZ AS valid_from,
    exp(sum(budgets) OVER life / sum(jobs) OVER life) AS category_budget
FROM by_day
WINDOW life AS (PARTITION BY category ORDER BY day)
