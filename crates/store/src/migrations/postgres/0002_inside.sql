-- The server (see servers) in which attempt `inside_attempt` runs or ran: where that server is gone, so is the attempt. Of
-- any other attempt it says nothing, so that servers which do not know these columns may run beside those that do.
ALTER TABLE tasklane.tasks ADD COLUMN inside bigint, ADD COLUMN inside_attempt int;
