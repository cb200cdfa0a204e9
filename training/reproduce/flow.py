"""placeholder"""
def follow(config): raise NotImplementedError
