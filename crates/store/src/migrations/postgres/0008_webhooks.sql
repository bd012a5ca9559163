-- Webhooks need nothing that is not there: endpoints are records, deliveries are tasks, a callback stands in its task's spec.
-- The step is here so that no server works beside that knows none of it.
SELECT 1;
