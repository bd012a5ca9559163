-- The opening of the file by which it was granted to a worker in the server itself: after the next one nobody holds it. Null
-- for workers in processes of their own.
ALTER TABLE leases ADD COLUMN inside INTEGER;
