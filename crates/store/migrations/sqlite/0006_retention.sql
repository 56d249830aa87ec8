-- Old tasks are forgotten in small batches. One that is marked is gone for every reader, while its
-- jobs are deleted a few at a time.
ALTER TABLE task ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;
CREATE INDEX task_created ON task (created) WHERE forgotten = 0;
CREATE INDEX task_forgotten ON task (id) WHERE forgotten = 1;
