"""The worker: claims, slices, sessions; thin edges to Faust and Kafka."""
