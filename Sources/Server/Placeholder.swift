import Federation
