-- Runs once, when the volume is empty. Each service has its own database, as if on servers of their own.
CREATE DATABASE reliable_mq_order;
CREATE DATABASE reliable_mq_inventory;
