-- Runs once, when the volume is empty. Each service has its own database, as if on servers of their own.
CREATE DATABASE reliable_mq_order CHARACTER SET utf8mb4;
CREATE DATABASE reliable_mq_inventory CHARACTER SET utf8mb4;
