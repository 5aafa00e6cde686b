from pipeline.data.batch import Rows
