-- Every attempt at the record that this letter is one attempt at.
SELECT one.* FROM dead_letters AS one JOIN dead_letters AS shown
ON (one.topic, one.stage, one.first_partition, one.first_offset)
 = (shown.topic, shown.stage, shown.first_partition, shown.first_offset)
WHERE shown.id = %s ORDER BY one.attempts, one.partition, one."offset"
