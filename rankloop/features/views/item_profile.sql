-- What a job says about itself, known from the moment it is posted.
-- key: item_id
-- feature: item_age_days | since the job was posted | days
-- feature: item_budget | what the client offers | currency
-- feature: item_duration_days | how long the work should take | days
-- feature: item_daily_pay | budget by day of work, a duration under one day counting as one | currency a day
-- feature: item_skill_count | skills asked for | count
-- feature: item_title_length | letters of the title | count
-- feature: item_description_length | letters of the description | count
SELECT
    item_id,
    created_at AS valid_from,
    created_at AS item_age_days,
    budget AS item_budget,
    duration_days AS item_duration_days,
    budget / greatest(duration_days, 1) AS item_daily_pay,
    coalesce(len(skills), 0) AS item_skill_count,
    length(title) AS item_title_length,
    coalesce(length(description), 0) AS item_description_length
FROM items
