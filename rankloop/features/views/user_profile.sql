-- What a freelancer's profile says, known from the moment it exists.
-- key: user_id
-- feature: user_age_days | since the profile was made | days
-- feature: user_hourly_rate | what the freelancer asks for an hour | currency
-- feature: user_experience_years | working experience | years
-- feature: user_skill_count | skills named | count
SELECT
    user_id,
    created_at AS valid_from,
    created_at AS user_age_days,
    hourly_rate AS user_hourly_rate,
    experience_years AS user_experience_years,
    coalesce(len(skills), 0) AS user_skill_count
FROM users
