SELECT stage, count(*) AS letters FROM dead_letters GROUP BY stage
