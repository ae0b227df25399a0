-- The job whose exchange issued what a revocation gives back, while no link of that job is stored: the link withdraws it.
ALTER TABLE tasks ADD COLUMN job_id text UNIQUE;
