def find_pies():
    pass
