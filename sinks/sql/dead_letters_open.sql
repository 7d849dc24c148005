SELECT stage, count(*) AS letters FROM dead_letters WHERE state = 'open' GROUP BY stage
