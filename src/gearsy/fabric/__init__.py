"""Floor 3: findings. A run's estimates become findings; pooling and tensions will build on them."""
