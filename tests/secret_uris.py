"""URIs with secrets of every form, each with its secret."""

SECRET_URIS = [
    ("http://user:s3cr/t@127.0.0.1:9", "s3cr/t"),
    ("http://user:s3cr%2Ft@127.0.0.1:9", "s3cr%2Ft"),
    ("https://:only-a-passw0rd@127.0.0.1:9/mlflow", "only-a-passw0rd"),
    ("https://t0ken-of-a-user@127.0.0.1:9", "t0ken-of-a-user"),
    ("http://127.0.0.1:9/?token=t0ken-in-a-query", "t0ken-in-a-query"),
    ("http://127.0.0.1:9/?a=1&api_key=k3y&b=2", "k3y"),
    ("http://127.0.0.1:9/?X-Amz-Credential=AKIA0&X-Amz-Signature=5ec2e7", "5ec2e7"),
    ("postgresql+psycopg2://user:p/w@x@127.0.0.1:9/db", "p/w@x"),
    ("postgresql+psycopg2://user:p'w?x@127.0.0.1:9/db", "p'w?x"),
    ("mysql+pymysql://127.0.0.1:9/db?user=me&password=s3cr't", "s3cr't"),
    ("s3://k3y-id:s3cr/t+k3y@bucket/logs", "s3cr/t+k3y"),
    ("simplecache::ftp://user:s3cr@t@127.0.0.1/logs", "s3cr@t"),
    ("abfs://logs/?sv=1&sig=a%2Fb%3D", "a%2Fb%3D"),
]
